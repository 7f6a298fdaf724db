import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { addUsers, type BareMaster, checkState, makeState, startMaster } from '../bare-master.ts';
import { changeOn, enrolOn, Ledger, lostOn, repeatOn, revokeOn } from '../ledger.ts';
import { expect, type Scenario } from '../scenario.ts';

const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const atOnce = 16;

export const kill: Scenario = {
  name: 'kill',
  description: 'a master that is killed in the midst of enrolments, revocations and changes of users, again and again',
  topology: `
 16 that enrol, 1 that revokes, 1 that changes users -- TLS --> a master, killed with -9 and started again
`,
  figures: v.object({ kills: Count, acked: Count, lost_acks: Count, torn: Count, duplicate_addresses: Count }),
  async run({ short, step, check }) {
    const folder = mkdtempSync('/var/tmp/postern-kill-');
    let running: BareMaster | undefined;
    try {
      const { state, userIds } = await step('a master with users', async () => {
        const made = await makeState(join(folder, 'state'));
        running = await startMaster(made);
        const ids = await addUsers(
          running,
          [...Array(24).keys()].map((i) => `user${i}`),
        );
        return { state: made, userIds: ids };
      });

      const figures = { kills: 0, acked: 0, lost_acks: 0, torn: 0, duplicate_addresses: 0 };
      const problems: string[] = [];
      const note = (figure: 'lost_acks' | 'torn', found: readonly string[]) => {
        figures[figure] += found.length;
        problems.push(...found);
      };
      const kills = short ? 4 : 100;
      await step(`${kills} times: load, kill -9, start, compare`, async (say) => {
        while (figures.kills < kills) {
          const master = running ?? (await startMaster(state));
          const ledger = new Ledger();
          const load = [
            ...Array.from({ length: atOnce }, (_, i) => enrolOn(master, ledger, userIds[i] ?? '')),
            revokeOn(master, ledger),
            changeOn(master, ledger, userIds.slice(atOnce)),
          ];
          const ended = Promise.all(load.map((one) => one.catch(() => {})));
          // Whenever it is: while it starts to work, between two commits, in the midst of one.
          await Bun.sleep(10 + Math.random() * 490);
          await master.end('SIGKILL');
          await ended;
          figures.kills++;

          running = await startMaster(state);
          figures.acked += ledger.acked;
          note('lost_acks', [...ledger.wrong, ...(await lostOn(running, ledger))]);
          note('lost_acks', await repeatOn(running, ledger));
          const found = await checkState(state);
          const twice = found.problems.filter((problem) => problem.startsWith('addresses that two have'));
          figures.duplicate_addresses += twice.length;
          const unequal = found.codesSpent !== found.devices + found.revocations;
          note('torn', [
            ...found.problems.filter((problem) => !twice.includes(problem)),
            ...(unequal
              ? [`${found.codesSpent} codes made ${found.devices} devices, ${found.revocations} revoked`]
              : []),
          ]);
        }
        say(`${figures.acked} answers, all compared`);
      });
      await check(
        'nothing that was answered is lost, nothing is there by halves, no address is there twice',
        async () => {
          expect(problems.length === 0, () => problems.slice(0, 5).join('\n'));
          expect(figures.acked > 0, () => 'nothing was ever answered');
        },
      );
      return figures;
    } finally {
      await running?.end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
