/** One line of /proc/net/tcp or /proc/net/tcp6: who is at the other end of a socket, and the socket's inode. */
export type TcpSocket = { localPort: number; remote: string; isEstablished: boolean; inode: number };

const line = /^\s*\d+: [\dA-F]+:([\dA-F]{4}) ([\dA-F]{8}|[\dA-F]{32}):[\dA-F]{4} ([\dA-F]{2}) (?:\S+ +){5}(\d+)/;
const established = '01';

export function parseProcNetTcp(text: string): TcpSocket[] {
  return text.split('\n').flatMap((one) => {
    const [, port = '', remote = '', state, inode = ''] = line.exec(one) ?? [];
    if (inode === '') return [];
    return {
      localPort: Number.parseInt(port, 16),
      remote: addressOf(remote),
      isEstablished: state === established,
      inode: Number(inode),
    };
  });
}

/** Words of 32 bits in the machine's own order, which is little-endian wherever we run. */
function addressOf(hex: string): string {
  const words = hex.toLowerCase().match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse());
  const isIpv4 = bytes.length === 4 || bytes.slice(0, 12).join('') === '00000000000000000000ffff';
  if (isIpv4)
    return bytes
      .slice(-4)
      .map((byte) => Number.parseInt(byte, 16))
      .join('.');
  return Array.from({ length: 8 }, (_, i) => `${bytes[2 * i]}${bytes[2 * i + 1]}`).join(':');
}
