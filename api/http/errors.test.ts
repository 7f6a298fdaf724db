import { expect, test } from 'bun:test';
import { testMaster } from '../test-kit/master.ts';

test('a full pool says when to come back', async () => {
  const postern = await testMaster({ pool: '10.91.64.0/29' });
  const user = await postern.addPerson('ben@example.com');
  const redeem = async () => {
    const { code } = await postern.issue(user.id);
    return postern.send('POST', '/v1/enrolments', undefined, { code, ...(await postern.newDevice()).request });
  };
  let answer = await redeem();
  for (let tries = 0; tries < 8 && answer.status === 201; tries++) answer = await redeem();
  expect(answer).toMatchObject({ status: 503, body: { code: 'pool-exhausted' } });
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
});

test('a disk that takes nothing says when to come back', async () => {
  const postern = await testMaster();
  postern.store.db.run('PRAGMA query_only = ON');
  const answer = await postern.send('POST', '/v1/users', postern.ownerToken, {
    email: 'ben@example.com',
    role: 'developer',
  });
  expect(answer).toMatchObject({ status: 503, body: { code: 'storage-unavailable' } });
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
});

test('who asks too often is told how long to wait', async () => {
  const postern = await testMaster({ limits: { requests: 1 } });
  await postern.send('GET', '/v1/trust');
  const answer = await postern.send('GET', '/v1/trust');
  expect([answer.status, Number(answer.headers.get('retry-after')) > 0]).toEqual([429, true]);
});
