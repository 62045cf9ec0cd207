import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, usableBaseline, type DiskFacts } from './decide.ts';
import type { Baseline } from './source.ts';

const GiB = 2 ** 30;
const baseline: Baseline = {
  referencePointId: 'rp-1',
  disks: [
    { diskId: 'a', attachmentId: 'slot-0', rctId: 'rct-a', size: 4 * GiB, chain: ['u1.avhdx', 'base.vhdx'] },
  ],
};
const disk: DiskFacts = { diskId: 'a', size: 4 * GiB, chain: ['u1.avhdx', 'base.vhdx'], trackable: true };
const state = { usable: baseline, hadAny: true, earlierDisks: ['a'] };

const cases: [
  string,
  string,
  Partial<DiskFacts>,
  typeof state | { usable: undefined; hadAny: boolean; earlierDisks: string[] },
  boolean,
][] = [
  ['an unchanged chain', 'changes-since-reference-point', {}, state, false],
  [
    'a chain that grew by a user checkpoint',
    'changes-since-reference-point',
    { chain: ['u2.avhdx', 'u1.avhdx', 'base.vhdx'] },
    state,
    false,
  ],
  ['a chain that shrank by a merge', 'changes-since-reference-point', { chain: ['BASE.vhdx'] }, state, false],
  [
    'a sibling leaf: the VM was reverted',
    'chain-changed',
    { chain: ['u1b.avhdx', 'base.vhdx'] },
    state,
    false,
  ],
  ['another base', 'chain-changed', { chain: ['new.vhdx'] }, state, false],
  ['another disk in the same slot', 'new-disk', { diskId: 'b' }, state, false],
  [
    'a disk that the reference point has no mark for',
    'not-in-reference-point',
    {},
    { ...state, usable: { ...baseline, disks: [] } },
    false,
  ],
  ['a resized disk', 'size-changed', { size: 5 * GiB }, state, false],
  [
    'a host that forgot the reference point',
    'reference-point-lost',
    {},
    { usable: undefined, hadAny: true, earlierDisks: ['a'] },
    false,
  ],
  ['no backup ever', 'first-backup', {}, { usable: undefined, hadAny: false, earlierDisks: [] }, false],
  [
    'restore points, but no baseline',
    'no-baseline',
    {},
    { usable: undefined, hadAny: false, earlierDisks: ['a'] },
    false,
  ],
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
