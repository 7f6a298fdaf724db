import { afterAll, expect, test } from 'bun:test';
import { masterPaths } from './state/layout.ts';
import { openStore } from './store/open.ts';
import { readSettings } from './store/settings.ts';
import { readSnapshot } from './store/snapshot.ts';
import { credential, wireguardKey } from './test-kit/keys.ts';
import { newInstallation, removeStateDirs, serveArguments, serving, start } from './test-kit/processes.ts';

afterAll(removeStateDirs);

test('nodes learn where the API is inside the tunnel from a master that was told its node, and that listens there', async () => {
  const { stateDir, ownerToken } = await newInstallation();
  const inDatabase = <T>(read: (store: ReturnType<typeof openStore>) => T): T => {
    const store = openStore(masterPaths(stateDir).database);
    try {
      return read(store);
    } finally {
      store.close();
    }
  };
  const run = async (listen: string, ...more: string[]) => {
    const master = await serving(stateDir, listen, start([...serveArguments(stateDir, listen), ...more]));
    const port = Number(new URL(master.url).port);
    return { master, port };
  };

  const first = await run('0.0.0.0:0', '--node', 'n1');
  const agentKey = (await credential()).x;
  const node = { name: 'n1', publicKey: wireguardKey(), agentKey, endpoints: ['198.51.100.1:51820'] };
  await first.master.stop();
  // The node is not there yet, so there is nothing to open.
  expect(inDatabase(readSettings).api).toEqual({ node: 'n1', port: first.port });
  expect(inDatabase(readSnapshot).api).toBeUndefined();

  const second = await run('0.0.0.0:0', '--node', 'n1');
  expect((await second.master.send('POST', '/v1/nodes', ownerToken, node)).status).toBe(201);
  await second.master.stop();
  expect(inDatabase(readSnapshot).api).toEqual({ node: 'n1', port: second.port });

  const third = await run('127.0.0.1:0', '--node', 'n1');
  await third.master.stop();
  expect(inDatabase(readSnapshot).api).toBeUndefined();
}, 60_000);
