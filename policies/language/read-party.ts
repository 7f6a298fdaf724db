import { type Read, type Refusal, readPlace } from './address.ts';
import type { Subject, Target } from './statement.ts';
import { readDeviceName, readEmail, readName } from './values.ts';

/** Who is allowed: `everyone`, a role (`developer` or `role:developer`), an e-mail address, or `device:EMAIL/NAME`. */
export function readSubject(word: string): Read<Subject> {
  if (word === 'everyone') return { ok: true, value: { kind: 'everyone' } };
  if (word.startsWith('device:')) return readDevice(word.slice('device:'.length));
  if (word.startsWith('role:')) return asRole(word.slice('role:'.length));
  if (word.startsWith('user:') && word.includes('@'))
    return { ...refused('bad-subject', 'a user is named by the e-mail address alone'), suggestion: word.slice(5) };
  if (word.includes('@')) {
    const email = readEmail(word);
    return email.ok ? { ok: true, value: { kind: 'user', email: email.value } } : email;
  }
  if (word === 'devices' || word === 'anyone' || word === 'all' || word === 'any')
    return { ...refused('bad-subject', `\`${word}\` cannot be allowed something`), suggestion: 'everyone' };
  if (/^[0-9.]+(?:\/\d+)?$/.test(word))
    return refused(
      'bad-subject',
      `${word} is an address; access is given to roles, users and devices, not to addresses`,
    );
  return asRole(word);
}

/** What is opened: `devices`, `nodes`, a network or a service by its name, or an address or subnet. */
export function readTarget(word: string): Read<Target> {
  if (word === 'devices' || word === 'nodes') return { ok: true, value: { kind: word } };
  if (word === 'everyone')
    return {
      ...refused('bad-target', '`everyone` is who is allowed; the other devices are `devices`'),
      suggestion: 'devices',
    };
  if (/^[0-9]/.test(word) || word.includes(':')) {
    const place = readPlace(word);
    return place.ok ? { ok: true, value: { kind: 'literal', cidr: place.value } } : place;
  }
  const name = readName(word, 'network or a service');
  return name.ok ? { ok: true, value: { kind: 'named', name: name.value } } : name;
}

function asRole(word: string): Read<Subject> {
  const name = readName(word, 'role');
  return name.ok ? { ok: true, value: { kind: 'role', role: name.value } } : name;
}

function readDevice(word: string): Read<Subject> {
  const slash = word.indexOf('/');
  if (slash === -1)
    return refused('bad-device', 'a device is named by its user and its name: device:ana@example.com/laptop');
  const email = readEmail(word.slice(0, slash));
  const device = readDeviceName(word.slice(slash + 1));
  if (!email.ok) return email;
  if (!device.ok)
    return device.suggestion === undefined
      ? device
      : { ...device, suggestion: `device:${word.slice(0, slash)}/${device.suggestion}` };
  return { ok: true, value: { kind: 'device', email: email.value, device: device.value } };
}

function refused(code: string, message: string): Refusal {
  return { ok: false, code, message };
}
