import { Gauge, Histogram, type Registry } from 'prom-client';
import type { Fleet } from '../fleet/fleet.ts';
import type { SigningKeys } from '../keys/working-keys.ts';
import { readFigures } from '../store/figures.ts';
import { allNodes } from '../store/nodes.ts';
import type { Store } from '../store/open.ts';
import { currentVersion } from '../store/settings.ts';

export type Installation = {
  store: Store;
  fleet: Fleet;
  keys: SigningKeys;
  certificate: () => { notAfter: Date };
  now: () => Date;
};

/** What the installation has, read when somebody looks. No label names a person. */
export function addInstallationFamilies(registry: Registry, installation: Installation): void {
  addContents(registry, installation);
  addNodes(registry, installation);
  addExpiries(registry, installation);
  addCommits(registry, installation.store);
}

function addContents(registry: Registry, { store, fleet, now }: Installation): void {
  const registers = [registry];
  // The first of them asks for all: the others are read after it.
  new Gauge({
    name: 'postern_devices_online',
    help: 'Devices with a handshake with any node in the last three minutes.',
    registers,
    collect() {
      this.set(new Set(fleet.onlineKeys(now())).size);
      const figures = readFigures(store, now());
      users.set({ state: 'enabled' }, figures.usersEnabled);
      users.set({ state: 'disabled' }, figures.usersDisabled);
      devices.set({ kind: 'managed' }, figures.devicesManaged);
      devices.set({ kind: 'machine' }, figures.devicesMachine);
      codes.set(figures.codesOpen);
      database.set(figures.databaseBytes);
      wal.set(figures.walBytes);
      tokenEnd.set(figures.nextTokenEnd === null ? 0 : Date.parse(figures.nextTokenEnd) / 1000);
    },
  });
  const users = new Gauge({
    name: 'postern_users',
    help: 'Users by whether they may use what is theirs.',
    labelNames: ['state'],
    registers,
  });
  const devices = new Gauge({
    name: 'postern_devices',
    help: 'Registered devices by kind.',
    labelNames: ['kind'],
    registers,
  });
  const codes = new Gauge({
    name: 'postern_codes_open',
    help: 'Codes that still let a device in, those reserved at the moment included.',
    registers,
  });
  const database = new Gauge({
    name: 'postern_database_bytes',
    help: 'Size of the database, without its write-ahead log.',
    registers,
  });
  const wal = new Gauge({
    name: 'postern_database_wal_bytes',
    help: 'Size of the write-ahead log of the database.',
    registers,
  });
  const tokenEnd = new Gauge({
    name: 'postern_api_token_next_expiry_timestamp_seconds',
    help: 'When the next API token runs out, as Unix time; 0 when none does.',
    registers,
  });
}

function addNodes(registry: Registry, { store, fleet }: Installation): void {
  const registers = [registry];
  const labelNames = ['node'];
  new Gauge({
    name: 'postern_epoch',
    help: 'The current epoch.',
    registers,
    collect() {
      const version = currentVersion(store);
      this.set(version.epoch);
      revision.set(version.revision);
      // Of nodes that were removed nothing stays.
      for (const family of [lag, seen, connected, healthy, active, draining]) family.reset();
      for (const { name, applied, seenAt, ...node } of allNodes(store)) {
        const has = applied?.epoch === version.epoch ? applied.revision : 0;
        lag.set({ node: name }, Math.max(0, version.revision - has));
        seen.set({ node: name }, seenAt === null ? 0 : Date.parse(seenAt) / 1000);
        connected.set({ node: name }, fleet.isConnected(name) ? 1 : 0);
        if (node.healthy !== null) healthy.set({ node: name }, node.healthy ? 1 : 0);
        if (node.vip !== null) active.set({ node: name }, node.vip ? 1 : 0);
        draining.set({ node: name }, node.draining ? 1 : 0);
      }
    },
  });
  const revision = new Gauge({ name: 'postern_revision', help: 'The current revision.', registers });
  const lag = new Gauge({
    name: 'postern_node_revision_lag',
    help: 'Revisions that the node has still to put in force; all of them while it is closed or in another epoch.',
    labelNames,
    registers,
  });
  const seen = new Gauge({
    name: 'postern_node_seen_timestamp_seconds',
    help: 'When the node reported last, as Unix time; 0 for never.',
    labelNames,
    registers,
  });
  const connected = new Gauge({
    name: 'postern_node_connected',
    help: 'Whether the agent of the node holds its channel: 1 or 0.',
    labelNames,
    registers,
  });
  const healthy = new Gauge({
    name: 'postern_node_healthy',
    help: 'Whether the node last said that it does its work: 1 or 0; absent while it has said nothing of it.',
    labelNames,
    registers,
  });
  const active = new Gauge({
    name: 'postern_node_active',
    help: 'Whether the node last said that it holds the address that moves: 1 or 0.',
    labelNames,
    registers,
  });
  const draining = new Gauge({
    name: 'postern_node_draining',
    help: 'Whether devices are to leave the node: 1 or 0.',
    labelNames,
    registers,
  });
}

function addExpiries(registry: Registry, { keys, certificate }: Installation): void {
  const registers = [registry];
  new Gauge({
    name: 'postern_key_expiry_timestamp_seconds',
    help: 'When a working key must not be used any more, as Unix time.',
    labelNames: ['use'],
    registers,
    collect() {
      for (const use of ['tokens', 'snapshots', 'bundles'] as const)
        this.set({ use }, Date.parse(keys[use].notAfter) / 1000);
    },
  });
  new Gauge({
    name: 'postern_tls_certificate_expiry_timestamp_seconds',
    help: 'When the TLS certificate of the master runs out, as Unix time.',
    registers,
    collect() {
      this.set(certificate().notAfter.getTime() / 1000);
    },
  });
}

function addCommits(registry: Registry, store: Store): void {
  const registers = [registry];
  const durations = new Histogram({
    name: 'postern_commit_duration_seconds',
    help: 'How long the disk took for a transaction.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  });
  const acts = new Histogram({
    name: 'postern_commit_acts',
    help: 'How many acts shared a transaction.',
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  });
  store.onCommitted((commit) => {
    durations.observe(commit.seconds);
    acts.observe(commit.acts);
  });
}
