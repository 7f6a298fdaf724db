import { existsSync, readFileSync, writeSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import pino from 'pino';
import * as v from 'valibot';
import { Email, Name } from '#contract/name.ts';
import { Cidr } from '#contract/network.ts';
import { MeshCidr, SettingsChange } from '#contract/settings.ts';
import { addAcmeCommands } from './acme-commands.ts';
import { addBackupCommands } from './backup-commands.ts';
import { poolProblem } from './decisions/addresses.ts';
import { isLoopback, type ListenAddress, parseListen } from './decisions/listen.ts';
import { subnetProblem } from './decisions/webhook-address.ts';
import { addKeyCommands } from './keys-commands.ts';
import { logLines } from './log-lines.ts';
import { serve } from './serve.ts';
import { type InitOptions, initialise } from './state/init.ts';
import { masterPaths } from './state/layout.ts';
import { loadState } from './state/load.ts';
import { release } from './state/release.ts';
import { checkDatabase } from './store/inspection.ts';
import { takeServingLock } from './store/serving-lock.ts';
import { addTokenCommands } from './token-commands.ts';

/** The master's command line: makes the state, puts a client in it, serves it. Wiring only. */

type ServeOptions = {
  stateDir: string;
  listen: ListenAddress;
  node?: string;
  commitBatch?: number;
  metrics?: ListenAddress;
  webhookAllow?: string[];
  webhookCa?: string;
  logLevel: string;
};

type InitWords = Omit<InitOptions, 'tls' | 'upstreams'> & { tlsCert?: string; tlsKey?: string; upstream?: string[] };

const servedNames = ['join.sh', 'postern-client.js'];

const program = new Command('postern-master').description('The master of a Postern installation').showHelpAfterError();

program
  .command('init')
  .description('make keys, database and first owner; prints one line of JSON, with secrets that are shown this once')
  .requiredOption('--state-dir <dir>', 'where this node keeps its state')
  .requiredOption('--pool <cidr>', 'the subnet that devices get addresses from', readPool)
  .requiredOption('--owner <email>', 'the first owner', reader(Email))
  .requiredOption('--public-url <url>', 'how devices reach the master, such as https://vpn.example.com:8443', readUrl)
  .option('--mesh <cidr>', 'the /24 that joins the nodes (a random free one of 10/8)', reader(MeshCidr))
  .option('--upstream <address...>', 'resolvers that nodes ask for names outside the internal domain')
  .option('--tls-cert <file>', 'a certificate (PEM) instead of a self-signed one')
  .option('--tls-key <file>', 'its key (PEM)')
  .action(async (options: InitWords) => {
    const { tlsCert, tlsKey, upstream, ...rest } = options;
    const { upstreams = [] } = v.parse(SettingsChange, { upstreams: upstream });
    if ((tlsCert === undefined) !== (tlsKey === undefined))
      throw new Error('give both --tls-cert and --tls-key, or neither');
    const tls = tlsCert === undefined || tlsKey === undefined ? {} : { tls: { cert: tlsCert, key: tlsKey } };
    await initialise({ ...rest, upstreams, ...tls }, new Date(), printLine);
  });

program
  .command('release')
  .description('put client files in place and sign them; the recovery passphrase is read from standard input')
  .requiredOption('--state-dir <dir>', 'where this node keeps its state')
  .requiredOption('--file <name=path>', `a file to serve: ${servedNames.join(' or ')}`, readFiles)
  .requiredOption('--version <version>', 'what to call this release')
  .action(async (options: { stateDir: string; version: string; file: { name: string; path: string }[] }) => {
    const passphrase = (await Bun.stdin.text()).trim();
    const { file: files, stateDir, version } = options;
    const released = await release({ stateDir, version, files, passphrase }, new Date());
    if (!released.ok) throw new Error('the passphrase does not open the key for releases; nothing was changed');
    printLine(released.manifest);
  });

program
  .command('check')
  .description(
    'look through the database, also while it is served; prints one line of JSON, and fails on a contradiction',
  )
  .requiredOption('--state-dir <dir>', 'where this node keeps its state')
  .action(({ stateDir }: { stateDir: string }) => {
    const found = checkDatabase(masterPaths(stateDir).database);
    printLine(found);
    if (found.problems.length > 0) process.exitCode = 1;
  });

program
  .command('serve')
  .description('serve the API over TLS until SIGTERM')
  .requiredOption('--state-dir <dir>', 'where this node keeps its state')
  .option('--listen <host:port>', 'address and port, such as 0.0.0.0:8443 or [::]:8443', readListen, {
    hostname: '0.0.0.0',
    port: 8443,
  })
  .option('--node <name>', 'the node this machine is: its devices reach the API through the tunnel', reader(Name))
  .option('--commit-batch <acts>', 'how many acts may share one wait for the disk; 1 gives each its own', readBatch)
  .addOption(
    new Option('--webhook-allow <subnet>', 'a subnet of receivers of webhooks that is not public; may be repeated')
      .argParser(readSubnets)
      .env('POSTERN_WEBHOOK_ALLOW'),
  )
  .addOption(
    new Option('--webhook-ca <file>', 'certificates (PEM) of authorities that receivers of webhooks may show, too').env(
      'POSTERN_WEBHOOK_CA',
    ),
  )
  .addOption(
    new Option('--metrics <host:port>', 'serve figures for Prometheus there too, without a token; loopback only')
      .argParser(readLocal)
      .env('POSTERN_METRICS'),
  )
  .addOption(
    new Option('--log-level <level>', 'the least that is logged')
      .choices(['trace', 'debug', 'info', 'warn', 'error'])
      .default('info')
      .env('POSTERN_LOG_LEVEL'),
  )
  .action(async (options: ServeOptions) => {
    const { stateDir, listen, node, commitBatch: batchSize, metrics, webhookAllow, webhookCa, logLevel } = options;
    const log = pino(
      { level: logLevel, base: { program: 'master' }, redact: ['authorization', '*.authorization', '*.headers'] },
      logLines(2),
    );
    if (existsSync(masterPaths(stateDir).root)) takeServingLock(masterPaths(stateDir).servingLock, stateDir);
    const state = await loadState(stateDir, batchSize === undefined ? {} : { batchSize });
    const serving = serve(
      state,
      stateDir,
      {
        listen,
        ...(node === undefined ? {} : { node }),
        ...(metrics === undefined ? {} : { metrics }),
        ...(webhookAllow === undefined ? {} : { webhookAllow }),
        ...(webhookCa === undefined ? {} : { webhookAuthorities: [readFileSync(webhookCa, 'utf8')] }),
      },
      log,
    );
    log.info({ url: serving.url }, `listening on ${serving.url}`);
    const stop = async () => {
      await serving.stop();
      log.info('stopped');
      process.exit(0);
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });

addKeyCommands(program);
addTokenCommands(program);
addAcmeCommands(program);
addBackupCommands(program, readUrl);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`postern-master: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

/** Written at once and whole: what is printed counts as told. */
function printLine(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

function reader<T>(schema: v.GenericSchema<string, T>): (text: string) => T {
  return (text) => {
    const result = v.safeParse(schema, text);
    if (result.success) return result.output;
    throw new InvalidArgumentError(`It ${result.issues[0].message}.`);
  };
}

function readPool(text: string): string {
  const pool = reader(Cidr)(text);
  const why = poolProblem(pool);
  if (why !== undefined) throw new InvalidArgumentError(why);
  return pool;
}

function readUrl(text: string): string {
  const origin = URL.parse(text)?.origin ?? '';
  // The URL stands in a line for people's shells, so its host is held to plain characters.
  if (!/^https:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d+)?$/.test(origin) || !/^[^/]*\/\/[^/?#@]+\/?$/.test(text))
    throw new InvalidArgumentError('It must be https://HOST:PORT and nothing more.');
  return origin;
}

function readListen(text: string): ListenAddress {
  const address = parseListen(text);
  if (address === undefined) throw new InvalidArgumentError('It must be HOST:PORT, such as 0.0.0.0:8443 or [::]:8443.');
  return address;
}

function readBatch(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number from 1 to 9999.');
}

function readLocal(text: string): ListenAddress {
  const address = readListen(text);
  if (isLoopback(address)) return address;
  throw new InvalidArgumentError('It must be an address of this machine alone, such as 127.0.0.1:9587 or [::1]:9587.');
}

function readSubnets(text: string, earlier: string[] = []): string[] {
  const subnets = text.split(',');
  const why = subnets.map(subnetProblem).find((problem) => problem !== undefined);
  if (why !== undefined) throw new InvalidArgumentError(why);
  return [...earlier, ...subnets];
}

function readFiles(text: string, earlier: { name: string; path: string }[] = []): { name: string; path: string }[] {
  const [name = '', path = ''] = text.split(/=(.*)/s);
  if (!servedNames.includes(name) || path === '')
    throw new InvalidArgumentError(`It must be NAME=PATH with NAME ${servedNames.join(' or ')}.`);
  return [...earlier, { name, path }];
}
