import { expect, test } from 'bun:test';
import { concernsUs } from './events.ts';

const devices = ['wg0', 'wg-mesh', 'br-lan'];

test.each([
  ['inet wg0 forwarding off ', true],
  ['inet br-lan forwarding off rp_filter off', true],
  ['inet eth9 forwarding off ', false],
  ['7: wg0    inet 10.91.0.1/32 scope global wg0\\       valid_lft forever preferred_lft forever', true],
  ['Deleted 7: wg-mesh: <POINTOPOINT,NOARP> mtu 1420 qdisc noop state DOWN group default \\    link/none', true],
  ['Deleted 172.19.0.0/16 dev wg-mesh scope link metric 1000000 ', true],
  ['9: veth1@if8: <BROADCAST> mtu 1500 qdisc noqueue state UP group default \\    link/ether 7e:cf:66:41:fb:99', false],
  ['default via 192.0.2.1 dev eth0 proto dhcp metric 100 ', false],
  ['insert rule ip filter FORWARD counter packets 0 bytes 0 accept', true],
  ['delete rule ip filter POSTERN-FORWARD handle 3', true],
  ['add rule ip6 filter INPUT tcp dport 22 accept', true],
  ['delete table ip filter', true],
  ['add rule inet mine input tcp dport 22 accept', false],
  ['add rule ip nat DOCKER iifname "docker0" counter packets 0 bytes 0 return', false],
  ['# new generation 12 by process 34 (iptables-restor)', false],
  ['', false],
])('%s: %p', (line, concerns) => expect(concernsUs(line, devices)).toBe(concerns));
