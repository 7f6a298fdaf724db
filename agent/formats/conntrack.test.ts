import { expect, test } from 'bun:test';
import { flowWords, parseConntrack } from './conntrack.ts';

const text = `tcp      6 431999 ESTABLISHED src=10.91.1.1 dst=172.19.0.10 sport=40022 dport=443 src=172.19.0.10 dst=172.19.0.1 sport=443 dport=40022 [ASSURED] mark=0 use=1
udp      17 29 src=10.91.1.2 dst=172.19.0.53 sport=5353 dport=53 [UNREPLIED] src=172.19.0.53 dst=172.19.0.1 sport=53 dport=5353 mark=0 use=1
icmp     1 29 src=10.91.1.2 dst=10.91.1.1 type=8 code=0 id=7 src=10.91.1.1 dst=10.91.1.2 type=0 code=0 id=7 mark=0 use=1
gre      47 29 src=10.91.1.3 dst=172.19.0.9 srckey=0x0 dstkey=0x1 src=172.19.0.9 dst=10.91.1.3 srckey=0x1 dstkey=0x0 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 4 flow entries have been shown.
`;

test('flows are read with who really answers them, and named again to the letter', () => {
  const flows = parseConntrack(text);
  expect(flows.map(({ protocol, port, icmpType, answeredBy }) => [protocol, port, icmpType, answeredBy])).toEqual([
    ['tcp', 443, 0, '172.19.0.10'],
    ['udp', 53, 0, '172.19.0.53'],
    ['icmp', 0, 8, '10.91.1.1'],
    ['other', 0, 0, '172.19.0.9'],
  ]);
  expect(flows.map((flow) => flowWords(flow).join(' '))).toEqual([
    '-p tcp --orig-src 10.91.1.1 --orig-dst 172.19.0.10 --sport 40022 --dport 443',
    '-p udp --orig-src 10.91.1.2 --orig-dst 172.19.0.53 --sport 5353 --dport 53',
    '-p icmp --orig-src 10.91.1.2 --orig-dst 10.91.1.1 --icmp-type 8',
    '-p 47 --orig-src 10.91.1.3 --orig-dst 172.19.0.9',
  ]);
});
