/** As `moves.test.ts`, for full backups, and with two moves in one run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MovingBench } from './moves.ts';

void test('a VM that moves before any call of a full backup is followed', async () => {
  await using bench = await MovingBench.open();
  const calls = await bench.hostCalls();
  for (let at = 0; at < calls; at += 1) {
    const { outcome, before } = await bench.run([{ at }], true);
    assert.match(outcome, /^ok(, FLOW_BASELINE_NOT_SEALED)?$/, `call ${at}, ${before[0]}`);
  }
});

void test('a VM that moves twice, at every distance: the backup is complete, or refused with a code', async (t) => {
  await using bench = await MovingBench.open();
  const calls = await bench.hostCalls();
  const outcomes = new Map<string, number>();
  for (let at = 0; at < calls; at += 1) {
    const second = at + 1 + ((at * 37) % 90);
    const { outcome } = await bench.run([{ at }, { at: second }]);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    assert.match(outcome, /^(ok|HYPERV_)/, `calls ${at} and ${second}`);
  }
  for (const [outcome, count] of outcomes) t.diagnostic(`${count} × ${outcome}`);
});
