import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { testMaster } from '../test-kit/master.ts';
import { policyOf } from '../test-kit/policy.ts';
import { defaultWorkshop, WorkFailed, workshopOf } from './workshop.ts';

const document = 'role developer\nrole admin includes developer\n';

describe('the thread for policies', () => {
  test('that dies is answered with 503, changes nothing, and the next question gets a new one', async () => {
    const threads: Worker[] = [];
    const openThread = () => {
      const thread = defaultWorkshop.openThread();
      threads.push(thread);
      return thread;
    };
    const postern = await testMaster({ workshop: workshopOf({ ...defaultWorkshop, openThread }) });
    const policy = policyOf(postern);
    const put = policy.put(document);
    while (threads.length === 0) await Bun.sleep(1);
    threads[0]?.terminate();
    expect(await put).toMatchObject({ status: 503, body: { code: 'not-ready' } });
    expect((await put).headers.get('retry-after')).toBe('1');
    expect((await policy.read()).revision).toBe(1);
    expect((await policy.put(document)).status).toBe(200);
    expect(threads).toHaveLength(2);
  });

  test('that fails or takes too long is given up', async () => {
    const thread = (source: string) => () => new Worker(URL.createObjectURL(new Blob([source])));
    for (const [source, limitMilliseconds, why] of [
      [`self.onmessage = () => { throw new Error('broken'); }`, 20_000, 'broken'],
      ['self.onmessage = () => { for (;;); }', 500, 'too long'],
    ] as const) {
      const workshop = workshopOf({ ...defaultWorkshop, openThread: thread(source), limitMilliseconds });
      const asked = workshop.ask('edit', { document, edit: { kind: 'add', statements: [] } });
      expect(await asked.catch((error) => error)).toBeInstanceOf(WorkFailed);
      expect((await asked.catch((error) => error)).message).toContain(why);
    }
  });

  test('is let go when nobody asks, and comes back', async () => {
    let opened = 0;
    const openThread = () => {
      opened += 1;
      return defaultWorkshop.openThread();
    };
    const workshop = workshopOf({ ...defaultWorkshop, openThread, idleMilliseconds: 20 });
    const ask = () => workshop.ask('edit', { document, edit: { kind: 'add', statements: ['role guest'] } });
    expect(await ask()).toMatchObject({ ok: true, at: [3] });
    await ask();
    expect(opened).toBe(1);
    await Bun.sleep(200);
    expect(await ask()).toMatchObject({ ok: true });
    expect(opened).toBe(2);
    workshop.close();
    expect(ask()).rejects.toThrow('the master stops');
  });

  test('does not keep a process from ending', async () => {
    const program = `
      import { workshopOf } from ${JSON.stringify(join(import.meta.dir, 'workshop.ts'))};
      const edit = { kind: 'add', statements: [] };
      const { ok } = await workshopOf().ask('edit', { document: '', edit });
      console.log(ok);`;
    const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', timeout: 20_000 });
    expect(await child.stdout.text()).toBe('true\n');
    expect(await child.exited).toBe(0);
  });
});
