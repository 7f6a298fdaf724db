import { expect, test } from 'bun:test';
import { callerGroup } from './client-address.ts';
import { parseProcNetTcp } from './proc-net-tcp.ts';

const ipv4 = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 514 1 00000000f17ed271 100 0 0 10 0
   1: 0100007F:20FB 076433C6:8D0D 01 00000000:00000000 03:00000251 00000000     0        0 4797613 3 00000000e440f6fc 20 4 30 10 -1
`;
const ipv6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:20FB 0000000000000000FFFF0000076433C6:B1F7 01 00000000:00000000 00:00000000 00000000     0        0 77 1 000000005de46e34 20 4 30 10 -1
   1: B80D0120010000000000000001000000:20FB B80D0120020001000000000009000000:B1F7 06 00000000:00000000 03:00000ED0 00000000     0        0 0 3 000000005de46e34
`;

test('sockets and who is at the other end are read', () => {
  expect(parseProcNetTcp(ipv4)).toEqual([
    { localPort: 8443, remote: '0.0.0.0', isEstablished: false, inode: 514 },
    { localPort: 8443, remote: '198.51.100.7', isEstablished: true, inode: 4797613 },
  ]);
  expect(parseProcNetTcp(ipv6)).toEqual([
    { localPort: 8443, remote: '198.51.100.7', isEstablished: true, inode: 77 },
    { localPort: 8443, remote: '2001:0db8:0001:0002:0000:0000:0000:0009', isEstablished: false, inode: 0 },
  ]);
  expect(callerGroup('2001:0db8:0001:0002:0000:0000:0000:0009')).toBe('2001:db8:1:2::/64');
});
