import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { calculateJwkThumbprint, importJWK, SignJWT } from 'jose';
import * as v from 'valibot';
import { SigningKey, Thumbprint } from '#contract/key.ts';
import { Name } from '#contract/name.ts';
import { InterfaceName } from '#contract/network.ts';
import { signedTypes } from '#contract/trust.ts';
import { parseLoopback } from '../formats/loopback.ts';
import { generatePrivateKey, publicKeyOf } from '../formats/wireguard-key.ts';
import { makePrivateDirectory, readFileIfPresent, writeFileAtomically } from './files.ts';

/** Where an agent keeps what it has. All in `<state>/agent`. */
export function agentPaths(stateDirectory: string) {
  const directory = `${stateDirectory}/agent`;
  return {
    directory,
    config: `${directory}/config.json`,
    agentKey: `${directory}/agent.jwk.json`,
    wireguardKey: `${directory}/wg0.key`,
    meshKey: `${directory}/mesh.key`,
    frontKey: `${directory}/front.key`,
    certificate: `${directory}/certificate.json`,
    snapshot: `${directory}/snapshot.jws`,
    trust: `${directory}/trust.jws`,
    bundles: `${directory}/bundles.json`,
    highWater: `${directory}/high-water.json`,
    journal: `${directory}/found.json`,
    socket: `${directory}/run.sock`,
    services: `${directory}/services`,
    outages: `${directory}/outages.json`,
  };
}
export type AgentPaths = ReturnType<typeof agentPaths>;

const MasterUrl = v.pipe(
  v.string(),
  v.url('must be a URL such as https://vpn.example.com:8443'),
  v.startsWith('https://', 'must begin with https://'),
);

const UdpPort = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));

export const AgentConfig = v.object({
  node: Name,
  master: MasterUrl,
  root: Thumbprint,
  interface: InterfaceName,
  listenPort: UdpPort,
  /** The interface between the nodes, and its UDP port. */
  meshInterface: v.optional(InterfaceName, 'wg-mesh'),
  meshListenPort: v.optional(UdpPort, 51_821),
  /** Where figures are shown, on this machine alone; nowhere when absent. */
  metrics: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => parseLoopback(text) !== undefined, 'must be on this machine alone, such as 127.0.0.1:9586'),
    ),
  ),
});
export type AgentConfig = v.InferOutput<typeof AgentConfig>;

/** Something in the state directory is missing or cannot be used; the message says what to run. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
  readonly code = 'not-set-up';
}

const AgentKey = v.object({ kty: v.literal('OKP'), crv: v.literal('Ed25519'), x: SigningKey, d: v.string() });
export type AgentKey = v.InferOutput<typeof AgentKey>;

/** The public keys of a node: in the tunnel, of its agent's own requests, and in the mesh. */
export type PublicHalves = { publicKey: string; agentKey: string; meshKey: string };

/** Makes the node's keys, once. Doing it again changes nothing and gives the same public halves. */
export async function initialise(paths: AgentPaths): Promise<PublicHalves> {
  await makePrivateDirectory(paths.directory);
  if (!existsSync(paths.wireguardKey)) await writeFileAtomically(paths.wireguardKey, `${generatePrivateKey()}\n`);
  if (!existsSync(paths.agentKey)) {
    const { kty, crv, x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    await writeFileAtomically(paths.agentKey, `${JSON.stringify({ kty, crv, x, d })}\n`);
  }
  return {
    publicKey: publicKeyOf(await readWireguardKey(paths.wireguardKey)),
    agentKey: (await readAgentKey(paths)).x,
    meshKey: await ensureMeshKey(paths),
  };
}

/** Makes the key for the mesh, once: a node from before there was a mesh has none. @returns its public half. */
export async function ensureMeshKey(paths: AgentPaths): Promise<string> {
  if (!existsSync(paths.meshKey)) await writeFileAtomically(paths.meshKey, `${generatePrivateKey()}\n`);
  return publicKeyOf(await readWireguardKey(paths.meshKey));
}

export async function writeConfig(paths: AgentPaths, config: AgentConfig): Promise<void> {
  await makePrivateDirectory(paths.directory);
  await writeFileAtomically(paths.config, `${JSON.stringify(config, null, 2)}\n`);
}

/** @throws SetupError */
export async function readConfig(paths: AgentPaths): Promise<AgentConfig> {
  return parseFile(paths.config, AgentConfig, 'run `configure --node NAME --master URL --root THUMBPRINT` first');
}

/** @throws SetupError */
export async function readAgentKey(paths: AgentPaths): Promise<AgentKey> {
  return parseFile(paths.agentKey, AgentKey, 'run `init` first');
}

/** @throws SetupError */
export async function readWireguardKey(file: string): Promise<string> {
  const text = (await readFileIfPresent(file))?.trim();
  if (text === undefined) throw new SetupError(`${file} is missing; run \`init\` first`);
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) throw new SetupError(`${file} holds no WireGuard key`);
  return text;
}

/** A text that proves for a minute that it comes from this node. */
export async function signAssertion(key: AgentKey, node: string, now: Date): Promise<string> {
  const issuedAt = Math.floor(now.getTime() / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA', typ: signedTypes.agentAssertion, kid: await calculateJwkThumbprint(key) })
    .setIssuer(node)
    .setAudience('postern-master')
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + 60)
    .setJti(crypto.randomUUID())
    .sign(await importJWK(key, 'EdDSA'));
}

async function parseFile<T>(path: string, schema: v.GenericSchema<unknown, T>, advice: string): Promise<T> {
  const text = await readFileIfPresent(path);
  if (text === undefined) throw new SetupError(`${path} is missing; ${advice}`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new SetupError(`${path} is damaged: not JSON; ${advice}`, { cause });
  }
  const result = v.safeParse(schema, document);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new SetupError(`${path}: ${v.getDotPath(issue) ?? 'it'} ${issue.message}; ${advice}`);
}
