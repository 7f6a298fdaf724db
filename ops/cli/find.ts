import * as v from 'valibot';
import { Device, NodeResource, User } from '#contract/admin.ts';
import { largestPage, pageOf } from '#contract/lists.ts';
import { DisplayName, Email, Id } from '#contract/name.ts';
import { ApiToken } from '#contract/token.ts';
import { Webhook } from '#contract/webhook.ts';
import { type Master, Refused } from './master.ts';

/** What was named is not there, or several things are named so. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
  readonly code = 'not-found';
}

export const listUsers = (master: Master): Promise<User[]> => everything(master, User, '/v1/users');
export const listDevices = (master: Master): Promise<Device[]> => everything(master, Device, '/v1/devices');
export const listNodes = (master: Master): Promise<NodeResource[]> => everything(master, NodeResource, '/v1/nodes');
export const listTokens = (master: Master, filters: Record<string, string> = {}): Promise<ApiToken[]> =>
  everything(master, ApiToken, '/v1/tokens', filters);

export const listWebhooks = (master: Master): Promise<Webhook[]> => everything(master, Webhook, '/v1/webhooks');

/** A user by e-mail address or id. @throws NotFound */
export async function findUser(master: Master, word: string): Promise<User> {
  const path = pathOfUser(word);
  const user = path === undefined ? undefined : await unlessMissing(master.call(User, 'GET', path));
  if (user === undefined) throw new NotFound(`There is no user ${word}. See: postern user list`);
  return user;
}

/** A device by id, tunnel address or name. A name that several have is refused. @throws NotFound */
export async function findDevice(master: Master, word: string): Promise<Device> {
  const found = (await devicesLike(master, word)).filter(({ id, address, name }) => [id, address, name].includes(word));
  const [device, other] = found;
  if (device === undefined) throw new NotFound(`There is no device ${word}. See: postern device list`);
  if (other !== undefined) {
    const addresses = found.map(({ address }) => address).join(', ');
    throw new NotFound(`Several devices are called ${word}. Name it by its address: ${addresses}`);
  }
  return device;
}

/** A token by id or name. A name that several have is refused. @throws NotFound */
export async function findToken(master: Master, word: string): Promise<ApiToken> {
  const found = (await listTokens(master)).filter(({ id, name }) => [id, name].includes(word));
  const [token, other] = found;
  if (token === undefined) throw new NotFound(`There is no token ${word}. See: postern token list`);
  if (other !== undefined) {
    const ids = found.map(({ id, email }) => `${id} of ${email}`).join(', ');
    throw new NotFound(`Several tokens are called ${word}. Name it by its id: ${ids}`);
  }
  return token;
}

/** A webhook by id or name. A name that several have is refused. @throws NotFound */
export async function findWebhook(master: Master, word: string): Promise<Webhook> {
  const found = (await listWebhooks(master)).filter(({ id, name }) => [id, name].includes(word));
  const [webhook, other] = found;
  if (webhook === undefined) throw new NotFound(`There is no webhook ${word}. See: postern webhook list`);
  if (other !== undefined)
    throw new NotFound(
      `Several webhooks are called ${word}. Name it by its id: ${found.map(({ id }) => id).join(', ')}`,
    );
  return webhook;
}

function pathOfUser(word: string): string | undefined {
  if (v.is(Id, word as unknown)) return `/v1/users/${word}`;
  return v.is(Email, word as unknown) ? `/v1/users/by-email/${encodeURIComponent(word)}` : undefined;
}

async function devicesLike(master: Master, word: string): Promise<Device[]> {
  if (v.is(Id, word as unknown))
    return [await unlessMissing(master.call(Device, 'GET', `/v1/devices/${word}`))].flatMap((device) => device ?? []);
  return v.is(DisplayName, word as unknown) ? everything(master, Device, '/v1/devices', { q: word }) : [];
}

/** All that a list holds, page after page. */
export async function everything<T>(
  master: Master,
  item: v.GenericSchema<unknown, T>,
  path: string,
  filters: Record<string, string> = {},
): Promise<T[]> {
  const items: T[] = [];
  const parameters = new URLSearchParams({ ...filters, limit: String(largestPage) });
  for (;;) {
    const page = await master.call(pageOf(item), 'GET', `${path}?${parameters}`);
    items.push(...page.items);
    if (page.nextCursor === null) return items;
    parameters.set('cursor', page.nextCursor);
  }
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Refused && error.code === 'not-found') return undefined;
    throw error;
  }
}
