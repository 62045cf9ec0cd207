/**
 * The main job under random sequences of everything that happens to it: guests write, trim, stop and start; disks come, go,
 * are replaced in their slot, moved, resized, exchanged; users and other tools make checkpoints and reference points; marks
 * are lost; a user goes back to a checkpoint; the VM moves to other nodes of a cluster; the host restarts, loses power, words its
 * change reports in every way, lies in them, refuses, loses jobs and answers; our run is cut off,
 * cancelled or killed at any of its calls, and the next one has to cope. After every step the invariants of
 * docs/architecture.md are checked by name, with the truth that the lab keeps apart from VHDX files and change tracking.
 *
 * That it can fail was tried by breaking the code on purpose; docs/operating/proof.md lists what was broken and which
 * invariant found it. How to see a failure again: `check-sequences.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSequences } from './check-sequences.ts';
import { LIES } from './lying-host.ts';

/** Always the same sequences, so that a failure is of the change that is tested; `npm run test:long` draws others each time. */
const SEQUENCES = { count: 2000, seed: 20_261_123, file: 'test/property/main-job.test.ts' };

/** Each of these must have been met, or the sequences do not test what they claim to. */
const MET = [
  'run: ok',
  'run: warnings',
  'read: first-backup',
  'read: no-baseline',
  'read: requested',
  'read: changes-since-reference-point',
  'read: reference-point-lost',
  'read: new-disk',
  'read: size-changed',
  'read: change-query-failed',
  'read: chain-changed',
  'trouble: lost before, host',
  'trouble: lost after, host',
  'trouble: lost before, store',
  'trouble: death before, host',
  'trouble: death after, host',
  'trouble: death after, store',
  'trouble: cancel, host',
  'run refused or broken: CAPTURE_FOREIGN_CHECKPOINT',
  'run refused or broken: CAPTURE_NOT_APPLICATION_CONSISTENT',
  'warning: CAPTURE_ONLY_CRASH_CONSISTENT',
  'sequence over the wire',
  'sequence on a cluster',
  'sequence with encryption',
  'run of the second consumer',
  'the VM moved to another node',
  'a VM was reverted',
  'gone back past a backup, the checkpoint deleted',
  'the host restarted',
  'the host lost power',
  ...LIES.map((share) => `a lie was found where ${share * 100} % were lies`),
  'read: audit-mismatch',
];

test('whatever happens between and during backups, every restore point is exact and I1 to I11 hold', async (t) => {
  const { tally, seed } = await checkSequences(SEQUENCES);
  t.diagnostic(`seed ${seed}`);
  for (const line of tally.lines()) t.diagnostic(line);
  if (process.env['HVLIFT_SEED'] || process.env['HVLIFT_SEQUENCES']) return; // fewer, or chosen: not everything comes up
  assert.deepEqual(
    MET.filter((situation) => tally.of(situation) === 0),
    [],
    'situations that never came up',
  );
});
