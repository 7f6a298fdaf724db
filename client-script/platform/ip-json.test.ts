import { describe, expect, test } from 'bun:test';
import { parseLink, parseRoutes } from './ip-json.ts';

/** What iproute2 6.1 printed, shortened by what is not read. */
const links = `[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
{"ifindex":4,"ifname":"postern0","flags":["POINTOPOINT","NOARP","UP","LOWER_UP"],"mtu":1280,"operstate":"UNKNOWN","addr_info":[{"family":"inet","local":"10.91.64.70","prefixlen":32}]},{}]`;
const routes = `[{"dst":"default","gateway":"192.0.2.254","dev":"eth0","flags":[]},
{"dst":"10.91.64.2","dev":"postern0","scope":"link","flags":[]},
{"dst":"172.17.0.0/16","dev":"docker0","protocol":"kernel","scope":"link","prefsrc":"172.17.0.1","flags":["linkdown"]},
{"dst":"10.0.0.0/8","gateway":"192.0.2.9","dev":"eth0","flags":[]},
{"type":"unreachable","dst":"172.31.0.0/16","flags":[]}]`;

describe('what ip prints', () => {
  test('an interface', () =>
    expect(parseLink(links, 'postern0')).toEqual({ isUp: true, mtu: 1280, addresses: ['10.91.64.70'] }));

  test.each([
    ['no interface at all', '[]'],
    ['nothing', ''],
    ['others only', links.replaceAll('postern0', 'wg9')],
  ])('no interface: %s', (_, text) => expect(parseLink(text, 'postern0')).toBeUndefined());

  test('routes, ours and those of others', () =>
    expect(parseRoutes(routes, 'postern0')).toEqual({
      ours: ['10.91.64.2/32'],
      elsewhere: [
        { cidr: '172.17.0.0/16', device: 'docker0', isConnected: true },
        { cidr: '10.0.0.0/8', device: 'eth0', isConnected: false },
        { cidr: '172.31.0.0/16', device: 'unreachable', isConnected: false },
      ],
    }));

  test('what cannot be read is an error, not an empty table', () => {
    expect(() => parseRoutes('Cannot open netlink socket', 'postern0')).toThrow();
    expect(() => parseLink('{"ifname":1}', 'postern0')).toThrow();
  });
});
