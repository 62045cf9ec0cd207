/** A cycle costs what changed, whatever the size of the disk: counted on the host's side of a real wire. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GiB, KiB, MiB, TiB } from '../../src/base/index.ts';
import { MeasuredReplica, type CycleCost } from './replica-cost.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-replica-cost-'));
after(() => rm(folder, { recursive: true }));
const CHANGES = 8;

/** One delta cycle of so many writes of 64 KiB, evenly over the first `spread` bytes of the disk. */
async function deltaOf(size: number, spread: number): Promise<CycleCost> {
  const at = join(folder, `${size}-${spread}`);
  await using measured = await MeasuredReplica.open(size, at);
  const places = Array.from({ length: CHANGES }, (_, n) => Math.floor(spread / CHANGES / MiB) * MiB * n);
  await measured.write(places, 64 * KiB, 1);
  await measured.cycle();
  await measured.write(places, 64 * KiB, 2);
  const cost = await measured.cycle();
  const [disk] = cost.record.disks;
  assert.deepEqual(
    [disk!.kind, disk!.readBytes, disk!.writtenBytes],
    ['delta', CHANGES * 64 * KiB, CHANGES * 64 * KiB],
  );
  const { blocks } = await stat(disk!.place);
  assert.ok(blocks * 512 < (CHANGES + 4) * 32 * MiB, 'the replica is sparse');
  return cost;
}

/** Of the host's file: 8 bytes for each block of 32 MiB, and for each bitmap of 128 of them. It is read when the file is opened. */
function blockTable(size: number): number {
  return (size / (32 * MiB)) * 8 * (1 + 1 / 128);
}

test('a delta cycle asks, reads and writes the same on a disk of 64 GiB and all over one of 64 TiB, but for the table of blocks', async (t) => {
  const small = await deltaOf(64 * GiB, 64 * GiB);
  const large = await deltaOf(64 * TiB, 64 * TiB);
  for (const { calls, reads, readBytes } of [small, large])
    t.diagnostic(`${calls} methods, ${reads} reads of ${readBytes} bytes`);
  assert.equal(large.calls, small.calls);
  const table = blockTable(64 * TiB);
  assert.ok(large.reads - small.reads <= Math.ceil(table / MiB), `${large.reads} reads`);
  assert.ok(large.readBytes - small.readBytes <= table, `${large.readBytes} bytes`);
});
