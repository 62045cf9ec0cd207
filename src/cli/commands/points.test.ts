import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CommandLine } from '../command-line.fixture.ts';
import type { PointSummary } from '../engine.ts';
import { pointSummary } from '../fake-engine.fixture.ts';
import { shortIds } from './points.ts';

function yielding(...points: PointSummary[]) {
  return {
    async *points() {
      yield* points;
    },
  };
}

test('points are listed with time, consistency, kind and sizes; ids are cut to what tells them apart', async () => {
  await using line = await CommandLine.open();
  const older = pointSummary({
    id: 'a1b2c3d4ffff0000',
    createdAt: '2026-11-22T08:00:00Z',
    disks: [pointSummary().disks[0]!, { ...pointSummary().disks[0]!, number: 2, kind: 'full' }],
  });
  const { stdout } = await line.run(['points'], { engine: yielding(pointSummary(), older) });
  assert.deepEqual(stdout.split('\n'), [
    'POINT      VM     CREATED               CONSISTENCY  KIND        VIRTUAL  ALLOCATED   READ  CHANGED    NEW   STORED',
    'a1b2c3d4e  web01  2026-11-23 08:00:00Z  application  delta        64 GiB     20 GiB  3 GiB    2 GiB  1 GiB  512 MiB',
    'a1b2c3d4f  web01  2026-11-22 08:00:00Z  application  full+delta   64 GiB     20 GiB  3 GiB    2 GiB  1 GiB  512 MiB',
    '',
  ]);
});

test('VMs of the same name are told apart by their ids, and only those', async () => {
  await using line = await CommandLine.open();
  const other = { id: 'ffffffff-58a1-4d5e-9a0c-0c8f5d1c2a11', name: 'web01' };
  const third = { id: '33333333-58a1-4d5e-9a0c-0c8f5d1c2a11', name: 'sql01' };
  const { stdout } = await line.run(['points'], {
    engine: yielding(
      pointSummary({ id: '1aaaaaaaa' }),
      pointSummary({ id: '2aaaaaaaa', vm: other }),
      pointSummary({ id: '3aaaaaaaa', vm: third }),
    ),
  });
  assert.match(stdout, /web01 +6b1f3f0e-58a1[^]*web01 +ffffffff-58a1/);
  assert.doesNotMatch(stdout, /33333333/);
});

test('--disks gives the numbers restore --disk takes', async () => {
  await using line = await CommandLine.open();
  const { stdout } = await line.run(['points', '--disks'], { engine: yielding(pointSummary()) });
  assert.match(stdout, /DISK {2}KIND .* PATH\n.* 1 {2}delta.* C:\\VMs\\web01\.vhdx\n$/);
});

test('a point that an audit found to lack changes is marked, and its disk; what was audited is shown', async () => {
  await using line = await CommandLine.open();
  const [disk] = pointSummary().disks;
  const points = [
    pointSummary({ disks: [{ ...disk!, kind: 'compare', auditedBytes: 64 * 1024 ** 2 }] }),
    pointSummary({ id: 'b1b2c3d4e5f6a7b8', disks: [disk!, { ...disk!, number: 2, suspect: true }] }),
  ];
  const { stdout } = await line.run(['points'], { engine: yielding(...points) });
  assert.match(stdout, /AUDIT[^]*a1b2c3d4 .* compare +64 MiB [^]*b1b2c3d4 .* delta +SUSPECT /);
  const disks = await line.run(['points', '--disks'], { engine: yielding(...points) });
  assert.equal(disks.stdout.match(/SUSPECT/g)?.length, 1, 'the other disk of that point is right');
});

test('a short id is the beginning of its id and of no other', () => {
  const id = fc.string({ unit: fc.constantFrom('0', '1', 'a'), minLength: 8, maxLength: 14 });
  fc.assert(
    fc.property(fc.uniqueArray(id, { maxLength: 40 }), (ids) => {
      const distinct = ids.filter((one) => !ids.some((other) => other !== one && other.startsWith(one)));
      for (const [full, short] of shortIds(distinct)) {
        assert.deepEqual(
          distinct.filter((other) => other.startsWith(short)),
          [full],
        );
      }
    }),
  );
});

test('an empty repository says so, and is an empty list in the document', async () => {
  await using line = await CommandLine.open();
  const plain = await line.run(['points', '--vm', 'web01'], { engine: yielding() });
  assert.deepEqual([plain.code, plain.stdout, plain.stderr], [0, '', 'there are no restore points\n']);
  const outcome = await line.run(['points', '--json'], { engine: yielding() });
  assert.deepEqual(outcome.json(), { points: [] });
});

test('a list that breaks off keeps what was found, with the error beside it', async () => {
  await using line = await CommandLine.open();
  const outcome = await line.run(['points', '--json'], {
    engine: {
      async *points() {
        yield pointSummary();
        throw new Error('damaged');
      },
    },
  });
  assert.equal(outcome.code, 1);
  assert.equal(outcome.json().points.length, 1);
  assert.equal(outcome.json().error.message, 'damaged');
});
