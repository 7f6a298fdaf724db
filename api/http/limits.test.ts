import { describe, expect, test } from 'bun:test';
import { codeFromBytes } from '#contract/code.ts';
import { testMaster } from '../test-kit/master.ts';

const guess = () => codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));

describe('limits', () => {
  test('an address that guesses codes is stopped, also with the right one; others are not', async () => {
    const postern = await testMaster();
    const { code } = await postern.issue(postern.owner.id);
    const { request } = await postern.newDevice();
    const redeem = (by: string) => postern.send('POST', '/v1/enrolments', undefined, { code: by, ...request });
    for (let i = 0; i < 20; i++) expect((await redeem(guess())).status).toBe(404);
    const stopped = await redeem(code);
    expect(stopped).toMatchObject({ status: 429, body: { code: 'too-many-requests' } });
    expect(Number(stopped.headers.get('retry-after'))).toBeGreaterThan(0);
    postern.caller.address = '198.51.100.8';
    expect((await redeem(code)).status).toBe(201);
  });

  test('count a whole IPv6 /64 as one', async () => {
    const postern = await testMaster();
    const { request } = await postern.newDevice();
    const statuses = [];
    for (let i = 0; i < 21; i++) {
      postern.caller.address = `2001:db8:0:1::${(i + 1).toString(16)}`;
      statuses.push((await postern.send('POST', '/v1/enrolments', undefined, { code: guess(), ...request })).status);
    }
    expect(statuses).toEqual([...Array(20).fill(404), 429]);
    postern.caller.address = '2001:db8:0:2::1';
    expect((await postern.send('POST', '/v1/enrolments', undefined, { code: guess(), ...request })).status).toBe(404);
  });

  test('count bad tokens and assertions; a good token from the same address still works', async () => {
    const postern = await testMaster();
    const wrong = `pst_${'A'.repeat(43)}`;
    for (let i = 0; i < 20; i++) expect((await postern.send('GET', '/v1/users', wrong)).status).toBe(401);
    expect((await postern.send('GET', '/v1/users', wrong)).status).toBe(429);
    const assertion = { assertion: 'a.b.c' };
    expect((await postern.send('POST', '/v1/agent/tokens', undefined, assertion)).status).toBe(429);
    expect((await postern.send('GET', '/v1/users', postern.ownerToken)).status).toBe(200);
  });

  test('bound strangers, not those with a token', async () => {
    const postern = await testMaster({ limits: { requests: 5 } });
    for (let i = 0; i < 5; i++) expect((await postern.send('GET', '/healthz')).status).toBe(200);
    expect((await postern.send('GET', '/healthz')).status).toBe(429);
    for (let i = 0; i < 10; i++) expect((await postern.send('GET', '/v1/users', postern.ownerToken)).status).toBe(200);
  });

  test('failures from everywhere slow strangers and shut nobody out', async () => {
    const postern = await testMaster({ limits: { allFailures: 3, slowDownMilliseconds: 60 } });
    const { code } = await postern.issue(postern.owner.id);
    const { request } = await postern.newDevice();
    for (let i = 0; i < 5; i++) {
      postern.caller.address = `198.51.100.${i + 10}`;
      await postern.send('POST', '/v1/enrolments', undefined, { code: guess(), ...request });
    }
    postern.caller.address = '198.51.100.99';
    const started = performance.now();
    expect((await postern.send('POST', '/v1/enrolments', undefined, { code, ...request })).status).toBe(201);
    expect(performance.now() - started).toBeGreaterThanOrEqual(55);
  });
});
