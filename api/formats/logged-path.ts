/**
 * A path as it may stand in the log: words of routes, names and our ids (UUID version 7) as they are, anything else left out. People put a
 * code or a token in the wrong place, and whatever is longer than a name may be one.
 */
export function loggedPath(path: string): string {
  return path
    .split('/')
    .map((segment) => (plain.test(segment) ? segment : '…'))
    .join('/');
}

const plain = /^(?:[a-z0-9.-]{0,20}|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/;
