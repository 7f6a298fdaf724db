/** Asks a resolver for one name: `bun resolve.ts SERVER NAME [KIND]` prints its addresses, or ends with 1. */
import { Resolver } from 'node:dns/promises';

const [server = '', name = '', kind = 'A'] = process.argv.slice(2);
const resolver = new Resolver({ timeout: 1_000, tries: 1 });
resolver.setServers([server]);
try {
  console.log(String(await resolver.resolve(name, kind)));
} catch (error) {
  console.log(String(error));
  process.exit(1);
}
