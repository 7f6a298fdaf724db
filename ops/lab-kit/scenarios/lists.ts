import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { addUsers, type BareMaster, invite, makeState, startMaster } from '../bare-master.ts';
import { expect, type Scenario } from '../scenario.ts';
import { load } from './enrol.ts';

const Milliseconds = v.pipe(v.number(), v.minValue(0));
const pageLimit = 100;

type Answer = { items: { email: string }[]; nextCursor: string | null; total: number };

export const lists: Scenario = {
  name: 'lists',
  description: 'how long a page, a late page and a search take among 10,000 users and 10,000 devices',
  topology: `
  one caller after the other -- TLS, loopback --> a master with everybody in it
`,
  figures: v.object({
    users: v.number(),
    devices: v.number(),
    list_p50_ms: Milliseconds,
    list_p95_ms: Milliseconds,
    page_p50_ms: Milliseconds,
    page_p95_ms: Milliseconds,
    search_p50_ms: Milliseconds,
    search_p95_ms: Milliseconds,
  }),
  async run({ short, step, check }) {
    const folder = mkdtempSync('/var/tmp/postern-lists-');
    let master: BareMaster | undefined;
    try {
      const size = short ? 300 : 10_000;
      const repetitions = short ? 3 : 60;
      const serving = await step('a master', async () => startMaster(await makeState(join(folder, 'state'))));
      master = serving;
      const userIds = await step(`${size} users`, () => fillUsers(serving, size));
      await step(`${size} devices, each enrolled`, async () => {
        await load(serving.url, await invite(serving, userIds, size), 1);
      });

      const late = await step('a page near the end of each list', async () => [
        await latePage(serving, '/v1/users', size),
        await latePage(serving, '/v1/devices', size),
        await latePage(serving, '/v1/devices?sort=-name', size),
      ]);
      const kinds = {
        list: [
          '/v1/users',
          '/v1/users?sort=-createdAt',
          '/v1/devices',
          '/v1/devices?sort=email',
          '/v1/codes',
          '/v1/nodes',
        ],
        page: late,
        search: [
          '/v1/users?q=user77',
          '/v1/users?role=developer&disabled=false',
          '/v1/devices?q=user77',
          '/v1/devices?q=10.64.7.',
          '/v1/devices?q=nobody-is-called-so',
          '/v1/devices?email=user123@example.com',
          '/v1/devices?platform=linux&online=false',
          '/v1/codes?state=spent&sort=-createdAt',
        ],
      };
      const took = { list: [] as number[], page: [] as number[], search: [] as number[] };
      await step(`each of ${Object.values(kinds).flat().length} requests, ${repetitions} times`, async (note) => {
        const slowest = { path: '', ms: 0 };
        for (let round = -1; round < repetitions; round++) {
          for (const kind of ['list', 'page', 'search'] as const) {
            for (const path of kinds[kind]) {
              const ms = await timed(serving, path);
              // The first round is to warm up.
              if (round < 0) continue;
              took[kind].push(ms);
              if (ms > slowest.ms) Object.assign(slowest, { path: path.split('cursor')[0], ms });
            }
          }
        }
        note(`the slowest: ${Math.round(slowest.ms)} ms for ${slowest.path}`);
      });

      const { total: users } = await serving.call<Answer>('GET', '/v1/users?limit=1');
      const { total: devices } = await serving.call<Answer>('GET', '/v1/devices?limit=1');
      await check('everybody is listed', async () => {
        // The owner is there from the start.
        expect(users === size + 1 && devices === size, () => `${users} users, ${devices} devices`);
      });
      const at = (kind: keyof typeof took, share: number) => {
        const sorted = took[kind].toSorted((a, b) => a - b);
        return Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
      };
      return {
        users,
        devices,
        list_p50_ms: at('list', 0.5),
        list_p95_ms: at('list', 0.95),
        page_p50_ms: at('page', 0.5),
        page_p95_ms: at('page', 0.95),
        search_p50_ms: at('search', 0.5),
        search_p95_ms: at('search', 0.95),
      };
    } finally {
      await master?.end();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function fillUsers(master: BareMaster, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < count; from += 250) {
    const names = Array.from({ length: Math.min(250, count - from) }, (_, i) => `user${from + i}`);
    ids.push(...(await addUsers(master, names)));
  }
  return ids;
}

/** Follows a list until nine tenths are behind. @returns the path of the page that follows. */
async function latePage(master: BareMaster, list: string, count: number): Promise<string> {
  const path = `${list}${list.includes('?') ? '&' : '?'}limit=${pageLimit}`;
  let next = path;
  for (let seen = 0; seen < count * 0.9 - pageLimit; seen += pageLimit) {
    const { nextCursor } = await master.call<Answer>('GET', next);
    if (nextCursor === null) break;
    next = `${path}&cursor=${nextCursor}`;
  }
  return next;
}

/** In ms, until the last byte is there and read. */
async function timed(master: BareMaster, path: string): Promise<number> {
  const began = performance.now();
  await master.call<Answer>('GET', path);
  return performance.now() - began;
}
