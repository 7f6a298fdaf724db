import { type BareMaster, deviceKeys, type Redemption } from './bare-master.ts';

/**
 * What somebody was told by a master that may be killed at any moment, and whether that is still so afterwards. An act
 * whose answer did not come may have happened or not; what was answered must have.
 */

type Lease = { id: string; address: string; token: string };
type Enrolled = { redemption: Redemption; lease: Lease };

/** Notes what is answered, in one life of the master. */
export class Ledger {
  readonly enrolled: Enrolled[] = [];
  /** Redemptions whose first or second answer did not come, with the lease if that did. */
  readonly unanswered: { redemption: Redemption; lease?: Lease }[] = [];
  readonly revoked = new Set<string>();
  readonly perhapsRevoked = new Set<string>();
  /** The role that each user was last given, and those that were asked for after it. */
  readonly roles = new Map<string, { answered: string; asked: Set<string> }>();
  /** Answers that no master should give. */
  readonly wrong: string[] = [];

  /** How many changes were answered. */
  get acked(): number {
    return this.enrolled.length + this.revoked.size + this.roles.size;
  }
}

/** Enrols device after device, until the master is gone. */
export async function enrolOn(master: BareMaster, ledger: Ledger, userId: string): Promise<void> {
  for (;;) {
    const { code } = await master.call<{ code: string }>('POST', `/v1/users/${userId}/codes`, {});
    const redemption = { code, ...deviceKeys(), deviceName: 'laptop', platform: 'linux' } as const;
    await redeemOn(master, ledger, redemption);
  }
}

async function redeemOn(master: BareMaster, ledger: Ledger, redemption: Redemption): Promise<void> {
  const open: Ledger['unanswered'][number] = { redemption };
  ledger.unanswered.push(open);
  const redeemed = await master.send('POST', '/v1/enrolments', undefined, redemption);
  const lease = redeemed.body as Lease;
  if (redeemed.status === 201) {
    open.lease = lease;
    const { publicKey } = redemption;
    const confirmation = { publicKey, address: lease.address };
    const confirmed = await master.send('PUT', `/v1/enrolments/${lease.id}`, lease.token, confirmation);
    if (confirmed.status === 200) ledger.enrolled.push({ redemption, lease });
    else ledger.wrong.push(`a confirmation was answered ${confirmed.status} ${JSON.stringify(confirmed.body)}`);
  } else ledger.wrong.push(`a redemption was answered ${redeemed.status} ${JSON.stringify(redeemed.body)}`);
  ledger.unanswered.splice(ledger.unanswered.indexOf(open), 1);
}

/** Revokes some of what was enrolled, until the master is gone. */
export async function revokeOn(master: BareMaster, ledger: Ledger): Promise<void> {
  for (let next = 0; master.isRunning(); ) {
    const device = ledger.enrolled[next];
    if (device === undefined) {
      await Bun.sleep(2);
      continue;
    }
    next += 7;
    const { id } = device.lease;
    ledger.perhapsRevoked.add(id);
    await master.call('DELETE', `/v1/devices/${id}`);
    ledger.revoked.add(id);
  }
}

/** Gives users one role after the other, until the master is gone. */
export async function changeOn(master: BareMaster, ledger: Ledger, userIds: readonly string[]): Promise<void> {
  for (let turn = 0; ; turn++) {
    const id = userIds[turn % userIds.length] ?? '';
    const role = ['developer', 'admin'][Math.floor(turn / userIds.length) % 2] ?? '';
    const known = ledger.roles.get(id);
    if (known !== undefined) known.asked.add(role);
    await master.call('PATCH', `/v1/users/${id}`, { role });
    ledger.roles.set(id, { answered: role, asked: new Set() });
  }
}

/** What a master that came back no longer knows of what it answered: a sentence for each. */
export async function lostOn(master: BareMaster, ledger: Ledger): Promise<string[]> {
  const lost: string[] = [];
  await Promise.all([
    ...ledger.enrolled.map(async ({ redemption, lease: { id, address } }) => {
      const { status, body } = await master.send('GET', `/v1/devices/${id}`, master.ownerToken);
      const device = body as { publicKey?: string; address?: string };
      if (status === 404 && ledger.perhapsRevoked.has(id)) return;
      if (ledger.revoked.has(id)) lost.push(`the device ${id} was revoked, and is there`);
      else if (status !== 200) lost.push(`the device ${id} was registered, and is not there: ${status}`);
      else if (device.publicKey !== redemption.publicKey || device.address !== address)
        lost.push(`the device ${id} was promised ${address}, and has ${device.address}`);
    }),
    ...[...ledger.roles].map(async ([id, { answered, asked }]) => {
      const { role } = await master.call<{ role: string }>('GET', `/v1/users/${id}`);
      if (role !== answered && !asked.has(role)) lost.push(`the user ${id} was made ${answered}, and is ${role}`);
    }),
  ]);
  return lost;
}

/** Repeats what got no answer, and some of what did: the same code and key have the same answer. @returns what differs. */
export async function repeatOn(master: BareMaster, ledger: Ledger): Promise<string[]> {
  const different: string[] = [];
  const repeat = async (redemption: Redemption, lease?: Lease) => {
    const { status, body } = await master.send('POST', '/v1/enrolments', undefined, redemption);
    const again = body as Lease;
    if (status !== 201) different.push(`a repeated redemption was answered ${status} ${JSON.stringify(body)}`);
    else if (lease !== undefined && (again.id !== lease.id || again.address !== lease.address))
      different.push(`a repeated redemption has ${again.address} instead of ${lease.address}`);
    else {
      const confirmation = { publicKey: redemption.publicKey, address: again.address };
      const confirmed = await master.send('PUT', `/v1/enrolments/${again.id}`, again.token, confirmation);
      if (confirmed.status !== 200) different.push(`a repeated confirmation was answered ${confirmed.status}`);
    }
  };
  const known = ledger.enrolled.filter(({ lease }) => !ledger.perhapsRevoked.has(lease.id)).slice(-8);
  await Promise.all([
    ...ledger.unanswered.map(({ redemption, lease }) => repeat(redemption, lease)),
    ...known.map(({ redemption, lease }) => repeat(redemption, lease)),
  ]);
  return different;
}
