import * as v from 'valibot';
import { DisplayName, Email, Name } from '#contract/name.ts';
import { InterfaceName } from '#contract/network.ts';
import { Preset } from '#contract/places.ts';
import type { Read, Refusal } from './address.ts';
import type { Port, Until } from './statement.ts';
import { editDistance } from './suggest.ts';
import { reservedWords } from './words.ts';

/** The words of a statement that are neither keywords nor addresses, read strictly, each refusal with its reason. */

export function readName(word: string, what: string): Read<string> {
  if (isName(word)) {
    if (!reservedWords.has(word)) return { ok: true, value: word };
    return refusal('reserved-word', `"${word}" is a word of the language itself; a ${what} needs another name`);
  }
  const lower = word.toLowerCase().replaceAll('_', '-');
  return refusal(
    'bad-name',
    `"${word}" cannot name a ${what}: 1 to 20 of a-z, 0-9 and -, starting with a letter and not ending with -`,
    isName(lower) && !reservedWords.has(lower) ? lower : undefined,
  );
}

const isName = (word: string) => v.safeParse(Name, word).success;

export function readInterface(word: string): Read<string> {
  if (v.is(InterfaceName, word)) return { ok: true, value: word };
  return refusal(
    'bad-interface',
    `"${word}" cannot be a network interface: 1 to 15 of A-Z, a-z, 0-9, _ . and -, not starting with -`,
  );
}

export function readEmail(word: string): Read<string> {
  const read = v.safeParse(Email, word);
  if (read.success) return { ok: true, value: read.output };
  return refusal('bad-email', `"${word}" is not an e-mail address such as ana@example.com`);
}

/** A device's name as it stands behind the slash, quoted or not. */
export function readDeviceName(word: string): Read<string> {
  const quoted = /^"([^"]*)"$/.exec(word)?.[1];
  const name = quoted ?? word;
  if (v.is(DisplayName, name) && (quoted !== undefined || isPlainDeviceName(name))) return { ok: true, value: name };
  if (quoted === undefined && v.is(DisplayName, name))
    return refusal('bad-device', `the device name ${word} needs quotes`, `"${name}"`);
  return refusal(
    'bad-device',
    `${word === '' ? 'nothing' : word} is not a device's name: 1 to 63 letters, digits, spaces or . _ ' - ( ), in quotes when it has spaces`,
  );
}

/** Whether a device's name reads as one word without quotes. */
export function isPlainDeviceName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._()'-]*$/.test(name);
}

export function readDnsName(word: string): Read<string> {
  const lower = word.toLowerCase();
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
  const valid = (name: string) =>
    name.length <= 253 && new RegExp(`^(?:${label}\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`).test(name);
  if (valid(word)) return { ok: true, value: word };
  const plain = lower.replace(/\.$/, '');
  return refusal(
    'bad-dns-name',
    `"${word}" is not a DNS name such as gitlab.corp.internal: lower-case labels of a-z, 0-9 and -, at least two`,
    plain !== word && valid(plain) ? plain : undefined,
  );
}

/** A program that fronts know: what its backend needs of them. */
export function readPreset(word: string): Read<Preset> {
  if (v.is(Preset, word)) return { ok: true, value: word };
  const meant = Preset.options.find((preset) => editDistance(preset, word.toLowerCase()) <= 2);
  return refusal('bad-preset', `there is no preset \`${word}\`; there are ${Preset.options.join(', ')}`, meant);
}

export function looksLikePort(word: string): boolean {
  return /^(?:tcp|udp|icmp|sctp|any)(?:\/|$)/i.test(word) || /^\d+(?:[-:]\d+)?(?:\/[a-z]*)?$/i.test(word);
}

export function readPort(word: string): Read<Port> {
  if (word === 'icmp') return { ok: true, value: { protocol: 'icmp' } };
  const written = /^(tcp|udp)\/(0|[1-9]\d{0,5})(?:-(0|[1-9]\d{0,5}))?$/.exec(word);
  if (written === null)
    return refusal(
      'bad-port',
      `"${word}" is not a port; write tcp/443, tcp/8000-8100, udp/53 or icmp`,
      portMeant(word),
    );
  const protocol = written[1] === 'udp' ? 'udp' : 'tcp';
  const first = Number(written[2]);
  const last = Number(written[3] ?? written[2]);
  if (first < 1 || last > 65_535 || last < 1)
    return refusal('bad-port', `"${word}" is outside the ports there are, 1 to 65535`);
  if (last < first)
    return refusal('bad-port', `"${word}" ends before it begins`, writtenPort({ protocol, first: last, last: first }));
  if (written[3] !== undefined && first === last)
    return refusal('bad-port', `"${word}" is a range of one`, writtenPort({ protocol, first, last }));
  return { ok: true, value: { protocol, first, last } };
}

export function writtenPort(port: Port): string {
  if (port.protocol === 'icmp') return 'icmp';
  return `${port.protocol}/${port.first}${port.last === port.first ? '' : `-${port.last}`}`;
}

/** A date ends with its day, in UTC; a moment is given to the minute or the second, with the Z that says so. */
export function readUntil(word: string): Read<Until> {
  const written = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2}))?Z)?$/.exec(word);
  if (written === null) {
    const meant = /^(\d{4}-\d{2}-\d{2})[T_]?(\d{2}:\d{2}(?::\d{2})?)?(?:\.\d+)?[zZ]?$/.exec(word);
    const suggestion = meant?.[2] === undefined ? meant?.[1] : `${meant[1]}T${meant[2]}Z`;
    return refusal(
      'bad-time',
      `"${word}" is not a time; write a day, 2026-12-01 (until it ends in UTC), or a moment in UTC, 2026-12-01T18:00Z`,
      suggestion !== undefined && readUntil(suggestion).ok ? suggestion : undefined,
    );
  }
  const [year, month, day, hour, minute, second] = written.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const midnight = Date.UTC(year, month - 1, day);
  const exists = new Date(midnight).toISOString().startsWith(word.slice(0, 10));
  if (!exists || hour > 23 || minute > 59 || second > 59 || year < 2000)
    return refusal('bad-time', `"${word}" does not exist on the calendar and the clock`);
  const dateOnly = written[4] === undefined;
  const at = dateOnly ? midnight + 86_400_000 : midnight + ((hour * 60 + minute) * 60 + second) * 1000;
  return { ok: true, value: { at, written: word } };
}

function portMeant(word: string): string | undefined {
  const lower = word.toLowerCase();
  const turned = /^(\d+(?:-\d+)?)\/(tcp|udp)$/.exec(lower);
  const bare = /^\d+(?:[-:]\d+)?$/.test(lower) ? `tcp/${lower}` : lower;
  const meant = turned === null ? bare.replace(':', '-') : `${turned[2]}/${turned[1]}`;
  return meant !== word && readPort(meant).ok ? meant : undefined;
}

function refusal(code: string, message: string, suggestion?: string): Refusal {
  return { ok: false, code, message, ...(suggestion === undefined ? {} : { suggestion }) };
}
