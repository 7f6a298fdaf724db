import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import * as v from 'valibot';
import { Thumbprint } from '#contract/key.ts';
import { Email } from '#contract/name.ts';
import { Cidr, Endpoint } from '#contract/network.ts';

export type UpOptions = {
  stateDir: string;
  listen?: string;
  endpoint?: string;
  pool?: string;
  owner?: string;
  tlsCert?: string;
  tlsKey?: string;
  acme?: string;
  recoveryFile?: string;
  restore?: string;
  publicUrl?: string;
  force: boolean;
  join?: string;
  root?: string;
  codeFile?: string;
  behindNat: boolean;
  detach: boolean;
  json: boolean;
};

export const defaults = {
  stateDir: '/var/lib/postern',
  listen: '0.0.0.0:8443',
  owner: 'owner@localhost',
  port: 51_820,
};

/** Reads the words after `ops/up`. Ends the process with 2 on words that are not its own, with 0 after --help. */
export function readUpOptions(words: readonly string[]): UpOptions {
  return command(
    'ops/up',
    'Sets this machine up as a Postern master and its first node, or as one more node, and starts it.',
  )
    .option('--listen <host:port>', `where the API listens (${defaults.listen})`, readListen)
    .option(
      '--endpoint <host[:port]>',
      'how devices reach this machine from outside (its address, port 51820)',
      readEndpoint,
    )
    .option('--pool <cidr>', 'the subnet that devices get addresses from (a random free /18 of 10/8)', reader(Cidr))
    .option('--owner <email>', `the first owner (${defaults.owner})`, reader(Email))
    .option('--tls-cert <file>', 'a certificate for the API (PEM) instead of a self-signed one')
    .option('--tls-key <file>', 'its key (PEM)')
    .option(
      '--acme <email>',
      "have Let's Encrypt certify the public name (port 80 must lead here); you agree to its terms of service",
      reader(Email),
    )
    .option('--recovery-file <file>', 'write the recovery passphrase there at first; read it from there later')
    .option('--restore <file>', 'become the master of a backup; needs the recovery passphrase', (path) => resolve(path))
    .option('--public-url <url>', 'with --restore: how devices reach the master from now on')
    .option('--force', 'with --restore: put a master that is here aside', false)
    .option('--join <url>', 'become a node of the master there, with a code of postern node add', readMaster)
    .option('--root <thumbprint>', "with --join: thumbprint of that master's root key", reader(Thumbprint))
    .option('--code-file <file>', 'with --join: read the code there, - for standard input, instead of asking for it')
    .option('--behind-nat', 'with --join: other nodes cannot call this one; it calls them', false)
    .option('--detach', 'leave it running in the background and return', false)
    .option('--json', 'print one JSON object instead of text', false)
    .addHelpText(
      'after',
      `
Run again, it finds what is there, starts what is not running, and changes nothing.

Examples:
  ops/up                                          try it; Ctrl-C stops it where there is no systemd
  ops/up --detach --endpoint vpn.example.com      as a company would
  ops/up --detach --recovery-file /root/recovery  keep the passphrase out of the terminal
  ops/up --detach --restore postern.backup        the machine before is gone; its name or address leads here now
  ops/up --detach --join https://vpn.example.com:8443 --root THUMBPRINT
                                                  one more node; postern node add shows this line and the code`,
    )
    .parse(['bun', 'ops/up', ...words])
    .opts<UpOptions>();
}

export type DownOptions = { stateDir: string; purge: boolean; yes: boolean; json: boolean };

export function readDownOptions(words: readonly string[]): DownOptions {
  return command('ops/down', 'Stops what ops/up started and takes its tunnel and firewall rules away.')
    .option('--purge', 'also remove the state: keys, database, everything', false)
    .option('--yes', 'do not ask before --purge', false)
    .option('--json', 'print one JSON object instead of text', false)
    .parse(['bun', 'ops/down', ...words])
    .opts<DownOptions>();
}

function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--state-dir <dir>', 'where everything is kept', (path) => resolve(path), defaults.stateDir)
    .showHelpAfterError()
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
}

function reader<T>(schema: v.GenericSchema<string, T>): (text: string) => T {
  return (text) => {
    const result = v.safeParse(schema, text);
    if (result.success) return result.output;
    throw new InvalidArgumentError(`It ${result.issues[0].message}.`);
  };
}

/** A host alone gets WireGuard's usual port. */
function readEndpoint(text: string): string {
  const hasPort = /^(\[[^\]]*\]|[^:]*):\d+$/.test(text);
  const bare = text.includes(':') && !hasPort && !text.startsWith('[') ? `[${text}]` : text;
  return reader(Endpoint)(hasPort ? text : `${bare}:${defaults.port}`);
}

function readMaster(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' && url.origin === text.replace(/\/$/, '')) return url.origin;
  throw new InvalidArgumentError('It must be https://HOST:PORT and nothing more.');
}

function readListen(text: string): string {
  const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})$/.exec(text)?.[1]);
  if (port > 0 && port < 65_536) return text;
  throw new InvalidArgumentError('It must be HOST:PORT, such as 0.0.0.0:8443.');
}
