import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { Delivery, EventType, IssuedWebhook, TestResult, type Webhook } from '#contract/webhook.ts';
import { everything, findWebhook, listWebhooks } from './find.ts';
import { withPrivateFile } from './private-file.ts';
import { ago, ahead, type Column, inert, showList, showOne } from './screen.ts';
import type { Session } from './session.ts';

const columns: Column<Webhook>[] = [
  { title: 'NAME', of: (webhook) => webhook.name },
  { title: 'URL', of: (webhook) => inert(webhook.url) },
  { title: 'EVENTS', of: ({ events }) => events?.join(', ') ?? 'all' },
  { title: 'STATE', of: stateOf },
  { title: 'WAITING', of: ({ waiting }) => String(waiting) },
  { title: 'ID', of: (webhook) => webhook.id },
];

const deliveryColumns: Column<Delivery>[] = [
  { title: 'EVENT', of: (delivery) => inert(delivery.type) },
  { title: 'HAPPENED', of: ({ createdAt }) => ago(createdAt, new Date()) },
  { title: 'STATE', of: (delivery) => delivery.state },
  { title: 'ATTEMPTS', of: ({ attempts }) => String(attempts) },
  { title: 'PROBLEM', of: ({ problem, lastStatus }) => problemOf(problem, lastStatus) },
  { title: 'ID', of: (delivery) => inert(delivery.eventId) },
];

export function addWebhookCommands(program: Command, session: Session): void {
  const webhook = program.command('webhook').description('other programs that are told what happens');

  webhook
    .command('add <name> <url>')
    .description('tell a receiver of events; the secret that signs them is shown this once')
    .addOption(new Option('--event <type...>', 'only of these (all)').choices(EventType.options))
    .option('--save <file>', 'write the secret there, readable by you alone, instead of showing it')
    .addHelpText(
      'after',
      `
Examples:
  postern webhook add pager https://hooks.example.com/postern --event device.joined device.revoked
  postern webhook add log https://hooks.example.com/all --save log.secret`,
    )
    .action((name: string, url: string, { event, save }: { event?: string[]; save?: string }) =>
      session(async (master, screen) => {
        const body = { name, url, ...(event === undefined ? {} : { events: event }) };
        const add = () => master.call(IssuedWebhook, 'POST', '/v1/webhooks', body);
        const { secret, ...made } =
          save === undefined ? await add() : await withPrivateFile(save, add, (one) => one.secret);
        const what = `${made.name} is told of ${made.events?.join(', ') ?? 'all events'}.`;
        if (save === undefined)
          showOne(screen, { ...made, secret }, `${what} Its secret is shown this once:\n\n  ${secret}`);
        else showOne(screen, made, `${what} Its secret is in ${save}.`);
      }),
    );

  webhook
    .command('list')
    .description('list the webhooks')
    .action(() =>
      session(async (master, screen) =>
        showList(screen, await listWebhooks(master), columns, 'There are no webhooks. Add one: postern webhook add'),
      ),
    );

  webhook
    .command('remove <webhook>')
    .description('remove a webhook, by name or id, with all that waits for it')
    .action((word: string) =>
      session(async (master, screen) => {
        const { id, name } = await findWebhook(master, word);
        await master.call(v.undefined(), 'DELETE', `/v1/webhooks/${id}`);
        showOne(screen, { removed: id }, `${name} is told nothing more.`);
      }),
    );

  webhook
    .command('test <webhook>')
    .description('send a test event now, and say what became of it')
    .action((word: string) =>
      session(async (master, screen) => {
        const { id, name } = await findWebhook(master, word);
        const result = await master.call(TestResult, 'POST', `/v1/webhooks/${id}/test`);
        const { delivered, problem, status } = result;
        const text = delivered
          ? `${name} took the test event and answered ${status}.`
          : `${name} did not take the test event: ${problemOf(problem, status)}. See: ops/docs/webhooks.md`;
        showOne(screen, result, text);
        if (!delivered) process.exitCode = 1;
      }),
    );

  webhook
    .command('deliveries <webhook>')
    .description('what was sent in the last week, newest first, and what waits')
    .addOption(new Option('--state <state>', 'only these').choices(Delivery.entries.state.options))
    .action((word: string, filters: { state?: string }) =>
      session(async (master, screen) => {
        const { id } = await findWebhook(master, word);
        const all = await everything(master, Delivery, `/v1/webhooks/${id}/deliveries`, { ...filters });
        showList(screen, all, deliveryColumns, 'Nothing was sent, and nothing waits.');
      }),
    );
}

function stateOf({ enabled, disabledBecause, failures, nextAttemptAt }: Webhook): string {
  if (!enabled) return disabledBecause === null ? 'disabled' : `disabled: ${disabledBecause}`;
  if (failures === 0) return 'well';
  const next = nextAttemptAt === null ? '' : `, again ${ahead(nextAttemptAt, new Date())}`;
  return `failed ${failures} times${next}`;
}

function problemOf(problem: string | null, status: number | null): string {
  if (problem === null) return 'none';
  return problem === 'status' ? `status ${status}` : problem;
}
