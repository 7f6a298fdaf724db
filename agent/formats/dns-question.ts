/** A question for the IPv4 address of a name, as RFC 1035 writes it. */
export function renderQuestion(id: number, name: string): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

/** Whether a message answers a question with this number: with an address, or that there is no such name. */
export function answersQuestion(message: Buffer, id: number): boolean {
  if (message.length < 12 || message.readUInt16BE(0) !== id) return false;
  const flags = message.readUInt16BE(2);
  const isResponse = (flags & 0x8000) !== 0;
  const code = flags & 15;
  return isResponse && (code === 0 || code === 3);
}
