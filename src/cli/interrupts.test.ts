import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../base/index.ts';
import { CommandLine, Sink } from './command-line.fixture.ts';
import { Interrupts } from './interrupts.ts';

test('the first Ctrl-C aborts the run, says what is cleaned up, and ends with 130 once that is done', async () => {
  await using line = await CommandLine.open();
  const interrupts = new Interrupts(() => assert.fail('left at once'));
  let cleaned = false;
  const { code, stderr, stdout } = await line.run(['backup', 'web01', '--json'], {
    interrupts,
    engine: {
      // oxlint-disable-next-line require-yield
      async *backup(_request, { signal }) {
        setImmediate(() => interrupts.press());
        try {
          await sleep(60_000, signal);
        } finally {
          cleaned = true;
        }
      },
    },
  });
  assert.equal(code, 130);
  assert.ok(cleaned);
  assert.match(stderr, /^stopping: removing the recovery checkpoint of this run/m);
  assert.match(stderr, /press Ctrl-C again to stop at once; then a recovery checkpoint may stay on the host/);
  assert.equal(JSON.parse(stdout).error.code, 'RUN_CANCELLED');
});

test('the second Ctrl-C ends the process at once and names what stays behind', async () => {
  await using line = await CommandLine.open();
  let exits = 0;
  const stderr = new Sink();
  const interrupts = new Interrupts(() => {
    exits += 1;
  });
  await line.run(['restore', 'a1', '--to', 'out'], {
    interrupts,
    stderr,
    engine: {
      async restore() {
        interrupts.press();
        assert.equal(exits, 0);
        interrupts.press();
        throw new Error('the engine is stuck here');
      },
    },
  });
  assert.equal(exits, 1);
  assert.match(stderr.text, /^stopped at once: files named \*\.partial stay/m);
});

test('a VM that was finished before the Ctrl-C keeps its record', async () => {
  await using line = await CommandLine.open();
  const { backupRun } = await import('./fake-engine.fixture.ts');
  const interrupts = new Interrupts(() => {});
  const outcome = await line.run(['backup', 'web01', 'web02', '--json'], {
    interrupts,
    engine: {
      async *backup(_request, { signal }) {
        yield backupRun();
        interrupts.press();
        signal.throwIfAborted();
      },
    },
  });
  assert.equal(outcome.code, 130);
  assert.equal(outcome.json().runs.length, 1);
  assert.equal(outcome.json().error.code, 'RUN_CANCELLED');
});

test('a clean-up that fails after Ctrl-C is told, and its exit code wins', async () => {
  await using line = await CommandLine.open();
  const { diskFaults } = await import('../disk/faults.ts');
  const interrupts = new Interrupts(() => {});
  const { code, stderr } = await line.run(['backup', 'web01'], {
    interrupts,
    engine: {
      // oxlint-disable-next-line require-yield
      async *backup() {
        interrupts.press();
        throw diskFaults.ioFailed({ path: 'x', reason: 'gone' });
      },
    },
  });
  assert.equal(code, 75);
  assert.match(stderr, /^error DISK_IO_FAILED/m);
});

test('Ctrl-C before the work began starts nothing', async () => {
  await using line = await CommandLine.open();
  const interrupts = new Interrupts(() => {});
  interrupts.press();
  const { code, calls } = await line.run(['backup', 'web01'], { interrupts });
  assert.deepEqual([code, calls], [130, []]);
});
