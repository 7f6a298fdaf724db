import * as v from 'valibot';
import { Device, User } from '#contract/admin.ts';
import type { Master } from './master.ts';

/** What was named is not there, or several things are named so. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
  readonly code = 'not-found';
}

const Users = v.object({ items: v.array(User) });
const Devices = v.object({ items: v.array(Device) });

export async function listUsers(master: Master): Promise<User[]> {
  return (await master.call(Users, 'GET', '/v1/users')).items;
}

export async function listDevices(master: Master): Promise<Device[]> {
  return (await master.call(Devices, 'GET', '/v1/devices')).items;
}

/** A user by e-mail address or id. @throws NotFound */
export async function findUser(master: Master, word: string): Promise<User> {
  const email = word.toLowerCase();
  const user = (await listUsers(master)).find((candidate) => candidate.email === email || candidate.id === word);
  if (user === undefined) throw new NotFound(`There is no user ${word}. See: postern user list`);
  return user;
}

/** A device by id, tunnel address or name. A name that several have is refused. @throws NotFound */
export async function findDevice(master: Master, word: string): Promise<Device> {
  const found = (await listDevices(master)).filter(({ id, address, name }) => [id, address, name].includes(word));
  const [device, other] = found;
  if (device === undefined) throw new NotFound(`There is no device ${word}. See: postern device list`);
  if (other !== undefined) {
    throw new NotFound(
      `Several devices are called ${word}. Name it by its address: ${found.map(({ address }) => address).join(', ')}`,
    );
  }
  return device;
}
