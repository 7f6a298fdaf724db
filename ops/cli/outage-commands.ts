import type { Command } from 'commander';
import { pageOf } from '#contract/lists.ts';
import { RecordedOutage } from '#contract/outage.ts';
import { readCount } from './count.ts';
import { findDevice } from './find.ts';
import { type Column, inert, showList } from './screen.ts';
import type { Session } from './session.ts';

const columns: Column<RecordedOutage>[] = [
  { title: 'AT', of: ({ at }) => at },
  { title: 'DEVICE', of: ({ device }) => inert(device) },
  { title: 'FROM', of: ({ from }) => from },
  { title: 'TO', of: ({ to }) => to },
  { title: 'BECAUSE', of: ({ cause }) => cause },
  { title: 'GAP', of: ({ gapMilliseconds }) => `${gapMilliseconds} ms` },
];

type Options = { node?: string; device?: string; limit: number };

export function addOutageCommands(program: Command, session: Session): void {
  program
    .command('outages')
    .description('how devices changed from one node to another, and how long that took them, newest first')
    .option('--node <name>', 'that left this node, or came to it')
    .option('--device <device>', 'of this device')
    .option('--limit <count>', 'how many', readCount, 50)
    .addHelpText('after', '\nExamples:\n  postern outages --node n1\n  postern outages --json | jq .[].gapMilliseconds')
    .action(({ node, device, limit }: Options) =>
      session(async (master, screen) => {
        const asked = new URLSearchParams({ limit: String(limit) });
        if (node !== undefined) asked.set('node', node);
        if (device !== undefined) asked.set('deviceId', (await findDevice(master, device)).id);
        const { items } = await master.call(pageOf(RecordedOutage), 'GET', `/v1/outages?${asked}`);
        showList(screen, items, columns, 'No device has reported an outage.');
      }),
    );
}
