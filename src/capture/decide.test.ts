import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, usableBaseline, type BaselineState, type DiskFacts } from './decide.ts';
import type { Baseline } from './source.ts';

const GiB = 2 ** 30;
const baseline: Baseline = {
  referencePointId: 'rp-1',
  disks: [
    { diskId: 'a', attachmentId: 'slot-0', rctId: 'rct-a', size: 4 * GiB, chain: ['u1.avhdx', 'base.vhdx'] },
  ],
};
const deep: Baseline = {
  ...baseline,
  disks: [{ ...baseline.disks[0]!, chain: ['u2.avhdx', 'u1.avhdx', 'base.vhdx'] }],
};
const disk: DiskFacts = { diskId: 'a', size: 4 * GiB, chain: ['u1.avhdx', 'base.vhdx'], trackable: true };
const state: BaselineState = { usable: baseline, hadAny: true, earlierDisks: ['a'], neverWentBack: false };
const ranOn: BaselineState = { ...state, neverWentBack: true };
const none: BaselineState = { ...state, usable: undefined };

const cases: [string, string, Partial<DiskFacts>, BaselineState, boolean][] = [
  ['an unchanged chain', 'changes-since-reference-point', {}, state, false],
  [
    'a chain that grew by a user checkpoint',
    'changes-since-reference-point',
    { chain: ['u2.avhdx', 'u1.avhdx', 'base.vhdx'] },
    state,
    false,
  ],
  [
    'a leaf that is gone while the VM ran on: merged',
    'changes-since-reference-point',
    { chain: ['BASE.vhdx'] },
    ranOn,
    false,
  ],
  [
    'a leaf that is gone, perhaps since the VM went back',
    'chain-changed',
    { chain: ['BASE.vhdx'] },
    state,
    false,
  ],
  [
    'a leaf that is gone below a new one while the VM ran on',
    'changes-since-reference-point',
    { chain: ['u2.avhdx', 'base.vhdx'] },
    ranOn,
    false,
  ],
  [
    'a file between the leaf of then and its base that is gone: merged',
    'changes-since-reference-point',
    { chain: ['u3.avhdx', 'u2.avhdx', 'base.vhdx'] },
    { ...state, usable: deep },
    false,
  ],
  [
    'the leaf of then over another file',
    'chain-changed',
    { chain: ['u2.avhdx', 'other.avhdx', 'base.vhdx'] },
    { ...ranOn, usable: deep },
    false,
  ],
  [
    'a sibling leaf: the VM was reverted',
    'chain-changed',
    { chain: ['u1b.avhdx', 'base.vhdx'] },
    state,
    false,
  ],
  ['another base', 'chain-changed', { chain: ['new.vhdx'] }, ranOn, false],
  ['another base below the same leaf', 'chain-changed', { chain: ['u1.avhdx', 'new.vhdx'] }, ranOn, false],
  ['another disk in the same slot', 'new-disk', { diskId: 'b' }, state, false],
  [
    'a disk that the reference point has no mark for',
    'not-in-reference-point',
    {},
    { ...state, usable: { ...baseline, disks: [] } },
    false,
  ],
  ['a resized disk', 'size-changed', { size: 5 * GiB }, state, false],
  ['a host that forgot the reference point', 'reference-point-lost', {}, none, false],
  ['no backup ever', 'first-backup', {}, { ...none, hadAny: false, earlierDisks: [] }, false],
  ['restore points, but no baseline', 'no-baseline', {}, { ...none, hadAny: false }, false],
  ['a full that was asked for', 'requested', {}, state, true],
  ['a VM too old to track', 'tracking-unsupported', { trackable: false }, state, false],
];

/** Every other reason is one to compare: the chain of restore points goes on. */
const KINDS: Record<string, string> = {
  'changes-since-reference-point': 'delta',
  'first-backup': 'full',
  requested: 'full',
};

for (const [what, reason, change, baselines, full] of cases) {
  test(`${what}: ${reason}`, () => {
    const decision = decide({ ...disk, ...change }, baselines, full);
    assert.equal(decision.reason, reason);
    assert.equal(decision.kind, KINDS[reason] ?? 'compare');
  });
}

test('a baseline counts only while the host has its reference point with every tracking id', () => {
  const older: Baseline = { ...baseline, referencePointId: 'rp-0' };
  const onHost = (id: string, rctId: string) => ({ instanceId: id, disks: [{ rctId }] });
  assert.equal(
    usableBaseline([baseline, older], [onHost('rp-0', 'rct-a'), onHost('rp-1', 'rct-a')]),
    baseline,
  );
  assert.equal(usableBaseline([baseline, older], [onHost('rp-0', 'rct-a')]), older);
  assert.equal(usableBaseline([baseline], [onHost('rp-1', 'another')]), undefined);
  assert.equal(usableBaseline([], [onHost('rp-1', 'rct-a')]), undefined);
});
