import { describe, expect, test } from 'bun:test';
import { Lab } from './lab.ts';
import { masquerade } from './router.ts';

describe('Lab', () => {
  test('two hosts ping each other, and one behind a NAT reaches the other', async () => {
    const lab = Lab.create();
    try {
      const [laptop, home, server] = await lab.boot('laptop', 'home', 'server');
      await lab.link(
        { host: laptop, name: 'eth0', address: '192.168.1.50/24' },
        { host: home, name: 'lan0', address: '192.168.1.1/24' },
      );
      await lab.link(
        { host: home, name: 'wan0', address: '203.0.113.2/24' },
        { host: server, name: 'eth0', address: '203.0.113.10/24' },
      );
      await laptop.ip('route add default via 192.168.1.1');
      await masquerade(home, 'wan0');
      expect((await server.run(['ping', '-c1', '-W1', '203.0.113.2'])).exitCode).toBe(0);
      expect((await laptop.run(['ping', '-c1', '-W1', '203.0.113.10'])).exitCode).toBe(0);
      expect((await server.run(['ping', '-c1', '-W1', '192.168.1.50'])).exitCode).not.toBe(0);
    } finally {
      await lab.close();
    }
  });
});
