/**
 * The line a person runs on the device. The script is fetched over a connection nobody vouches for, so the line itself
 * says what the script must be, and which root key everything after it must lead back to. It holds no code.
 */
export function joinLine(publicUrl: string, rootThumbprint: string, scriptSha256: string | undefined): string {
  if (scriptSha256 === undefined) return `postern-client join --master ${publicUrl} --root ${rootThumbprint}`;
  const fetched = `f=$(mktemp) && curl -fsSk --connect-timeout 10 ${publicUrl}/join.sh -o "$f"`;
  const checked = `(sha256sum "$f" 2>/dev/null || shasum -a 256 "$f") | grep -q '^${scriptSha256} '`;
  const refused = `{ echo 'postern: the script was changed on its way; nothing was run' >&2; false; }`;
  return `${fetched} && { ${checked} || ${refused}; } && sh "$f" ${publicUrl} ${rootThumbprint}`;
}

/** The line for a machine that becomes a node, run in a checkout of this repository. It holds no code. */
export function nodeJoinLine(publicUrl: string, rootThumbprint: string): string {
  return `sudo ops/up --join ${publicUrl} --root ${rootThumbprint}`;
}
