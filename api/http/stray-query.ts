import { accessOf, type Route } from './access.ts';
import { Refusal } from './refusal.ts';

/**
 * Refuses what stands behind the `?` of a user's route that takes nothing there. Routes that take something refuse what
 * they do not know by their schema. To leave a filter unheard would be to answer, or to change, something else than was
 * asked for.
 */
export function strayQuery(routes: readonly Route[]): (request: Request, path: string) => void {
  const without = new Set(
    routes
      .filter((route) => accessOf(route).kind === 'user' && (route.hooks as { query?: unknown }).query === undefined)
      .map(({ method, path }) => `${method} ${path}`),
  );
  return (request, path) => {
    if (!request.url.includes('?') || !without.has(`${request.method} ${path}`)) return;
    throw new Refusal('invalid-input', 'This route takes no parameters in its URL.');
  };
}
