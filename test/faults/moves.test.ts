/**
 * A VM of a cluster moves to another node before each call of an incremental backup in turn. Every run ends with a complete
 * restore point, the invariants of docs/architecture.md hold, and nothing of ours is left on any node but one mark.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MovingBench } from './moves.ts';

/** The VM left while the host made the reference point: the next run removes that, and goes on from the older one. */
const NOT_SEALED = 'ok, FLOW_BASELINE_NOT_SEALED';

test('a VM that moves before any call of its backup is followed, or the backup begins anew where it went', async (t) => {
  await using bench = await MovingBench.open();
  const calls = await bench.hostCalls();
  const outcomes = new Map<string, number>();
  for (let at = 0; at < calls; at += 1) {
    const { outcome, record, before } = await bench.run([{ at }]);
    assert.equal(before.length, 1, `the VM moved before call ${at}`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    assert.ok(
      outcome === 'ok' || outcome === NOT_SEALED,
      `moved before call ${at}, ${before[0]}: ${outcome}`,
    );
    assert.deepEqual(
      record!.disks.map(({ kind }) => kind),
      ['delta', 'delta'],
      `a move before call ${at}, ${before[0]}, costs no full`,
    );
  }
  for (const [outcome, count] of outcomes) t.diagnostic(`${count} × ${outcome}`);
  assert.ok(calls > 80, `${calls} calls`);
  const afterConversion = outcomes.get(NOT_SEALED) ?? 0;
  assert.ok(afterConversion > 0 && afterConversion <= 6, `${afterConversion} runs without a mark`);
});

test('a VM that is shown by its new owner only after a while is waited for', async () => {
  await using bench = await MovingBench.open();
  await bench.hostCalls();
  const { outcome } = await bench.run([{ at: 12, arrival: bench.clock.sleep(5_000) }]);
  assert.equal(outcome, 'ok');
});
