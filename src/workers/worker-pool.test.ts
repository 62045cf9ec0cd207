import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { echoHandlers, type EchoJobs } from './echo-worker.fixture.ts';
import { WorkerPool } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-workers-'));
after(() => rmSync(folder, { recursive: true }));

const SCRIPT = new URL('./echo-worker.fixture.ts', import.meta.url);

function poolOf(workers: number, workerData?: string): WorkerPool<EchoJobs> {
  return new WorkerPool({ script: SCRIPT, workerData, workers, inline: () => echoHandlers(workerData) });
}

/** A job that holds its thread until `open` is called. */
function gate(): { readonly gate: SharedArrayBuffer; readonly open: () => void } {
  const buffer = new SharedArrayBuffer(4);
  return {
    gate: buffer,
    open: () => {
      Atomics.store(new Int32Array(buffer), 0, 1);
      Atomics.notify(new Int32Array(buffer), 0);
    },
  };
}

for (const workers of [0, 1, 3]) {
  test(`${workers} workers: every job gets its own reply, every failure its own fault`, async () => {
    await using pool = poolOf(workers);
    const words = Array.from({ length: 50 }, (_, i) => `word ${i}`);
    const replies = await Promise.allSettled(
      words.map((word, i) => (i % 3 === 0 ? pool.run('refuse', { word }) : pool.run('echo', { word }))),
    );
    for (const [i, result] of replies.entries()) {
      if (result.status === 'fulfilled') assert.equal(result.value?.word, words[i]);
      else assert.ok(hasCode(result.reason, 'ECHO_REFUSED') && result.reason.message.includes(words[i]!));
      assert.equal(result.status, i % 3 === 0 ? 'rejected' : 'fulfilled');
    }
  });

  test(`${workers} workers: what was never meant to be thrown is a bug with its stack, and the pool goes on`, async () => {
    await using pool = poolOf(workers);
    await assert.rejects(
      pool.run('fail', {}),
      (error) => hasCode(error, 'WORKER_JOB_FAILED') && /nothing of the kind[^]*at /.test(error.message),
    );
    assert.equal((await pool.run('echo', { word: 'again' })).word, 'again');
  });

  test(`${workers} workers: a closed pool has let go of everything and takes no more`, async () => {
    const path = join(folder, `closed-${workers}`);
    const pool = poolOf(workers, path);
    await pool.run('echo', { word: 'one' });
    await pool.close();
    await pool.close();
    assert.equal(readFileSync(path, 'utf8'), 'closed');
    await assert.rejects(pool.run('echo', { word: 'late' }), (e) => hasCode(e, 'WORKER_POOL_CLOSED'));
  });
}

test('threads start when there is work for them, and no more than allowed', async () => {
  await using pool = poolOf(3);
  const threads = new Set<number>();
  const echo = async (): Promise<void> => void threads.add((await pool.run('echo', { word: '' })).thread);
  for (let i = 0; i < 5; i += 1) await echo();
  assert.equal(threads.size, 1);
  await Promise.all(Array.from({ length: 20 }, echo));
  assert.equal(threads.size, 3);
});

test('a thread that dies is a fault of what it had, and another takes its place', async () => {
  await using pool = poolOf(1);
  const died = await Promise.allSettled([pool.run('die', {}), pool.run('echo', { word: 'behind it' })]);
  for (const { status, reason } of died as PromiseRejectedResult[]) {
    assert.equal(status, 'rejected');
    assert.ok(hasCode(reason, 'WORKER_DIED'));
  }
  assert.equal((await pool.run('echo', { word: 'next' })).word, 'next');
});

test('a cancelled job that was not begun never runs; one that was begun is waited for', async () => {
  await using pool = poolOf(1);
  const { gate: held, open } = gate();
  const counter = new SharedArrayBuffer(4);
  const controller = new AbortController();
  const options = { signal: controller.signal };
  const begun = pool.run('wait', { gate: held }, options);
  const second = pool.run('count', { counter }, options); // waits at the thread: begun as well
  const late = [pool.run('count', { counter }, options), pool.run('count', { counter }, options)];
  controller.abort(new Error('stop'));
  const cancelled = Promise.allSettled(late);
  open();
  await Promise.all([begun, second]);
  for (const { status, reason } of (await cancelled) as PromiseRejectedResult[]) {
    assert.equal(status, 'rejected');
    assert.match(String(reason), /stop/);
  }
  assert.equal(new Int32Array(counter)[0], 1);
});

test('closing waits for what was begun and fails the rest', async () => {
  const pool = poolOf(1);
  const { gate: held, open } = gate();
  const begun = pool.run('wait', { gate: held });
  const counter = new SharedArrayBuffer(4);
  const others = Array.from({ length: 3 }, () => pool.run('count', { counter }));
  const settled = Promise.allSettled([begun, ...others]);
  const closing = pool.close();
  open();
  await closing;
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
  );
  assert.equal(new Int32Array(counter)[0], 1);
});

test('an idle pool that nobody closed keeps no process alive', () => {
  const program = `
    import { WorkerPool } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const pool = new WorkerPool({ script: new URL(${JSON.stringify(SCRIPT.href)}), workers: 2 });
    console.log((await pool.run('echo', { word: 'done' })).word);`;
  const path = join(folder, 'idle.mjs');
  writeFileSync(path, program);
  const { stdout, status } = spawnSync(process.execPath, ['-C', 'source', path], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.deepEqual([stdout.trim(), status], ['done', 0]);
});
