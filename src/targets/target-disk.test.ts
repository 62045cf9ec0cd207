/** Images as disks that are written in place, against a disk in memory; what a folder refuses. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { hasCode, KiB, MiB, newGuid } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { NbdServer } from '../nbd/index.ts';
import { createDifferencingVhdx, createVhdx } from '../vhdx/index.ts';
import { openTarget } from './open-target.ts';
import type { PlannedTargetDisk, TargetDisk, TargetDiskSpec } from './port.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-targets-'));
after(() => rm(folder, { recursive: true }));
let made = 0;
const fresh = (): string => join(folder, String((made += 1)));

function spec(size: number, changes: Partial<TargetDiskSpec> = {}): TargetDiskSpec {
  return { diskId: newGuid(), number: 1, name: 'vm-disk1', size, logicalSectorSize: 512, ...changes };
}

async function sameContent(disk: TargetDisk, model: MemoryDisk): Promise<void> {
  const [is, should] = [Buffer.alloc(disk.size, 0xee), Buffer.alloc(disk.size)];
  await disk.read(0, is);
  await model.read(0, should);
  assert.ok(is.equals(should), 'content');
  // What is not told of as allocated must read as zeros.
  const seen = Buffer.alloc(disk.size);
  for await (const { offset, length } of disk.allocated()) is.copy(seen, offset, offset, offset + length);
  assert.ok(seen.equals(should), 'allocated ranges');
}

const SIZE = 9 * MiB + 512;
const range = fc
  .tuple(fc.nat({ max: SIZE / 512 }), fc.nat({ max: 6000 }))
  .map(([at, sectors]) => ({ offset: at * 512, length: Math.min(SIZE - at * 512, sectors * 512) }));
const step = fc.record({
  what: fc.constantFrom('write', 'write', 'zero', 'flush', 'reopen'),
  at: range,
  fill: fc.integer({ min: 1, max: 255 }),
});

for (const format of ['raw', 'vhdx']) {
  test(`${format}: any writes and zeros, flushed and opened again in between, read back as from memory`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const target = openTarget(`dir:${fresh()}?format=${format}`);
        const about = spec(SIZE);
        const model = new MemoryDisk(SIZE);
        let disk = await target.openDisk(about);
        assert.ok(disk.isNew);
        for (const { what, at, fill } of steps) {
          if (what === 'write') {
            const bytes = Buffer.alloc(at.length, fill);
            await Promise.all([disk.write(at.offset, bytes), model.write(at.offset, bytes)]);
          } else if (what === 'zero') {
            await Promise.all([disk.zero(at.offset, at.length), model.zero(at.offset, at.length)]);
          } else if (what === 'flush') await disk.flush();
          else {
            await disk.close();
            disk = await target.openDisk(about);
            assert.ok(!disk.isNew);
          }
        }
        await sameContent(disk, model);
        await disk.close();
      }),
      { numRuns: 25 },
    );
  });
}

test('raw: zeros give their room back', async () => {
  const target = openTarget(`dir:${fresh()}`);
  const about = spec(16 * MiB);
  const disk = await target.openDisk(about);
  await disk.write(0, Buffer.alloc(8 * MiB, 7));
  await disk.flush();
  const before = (await stat(target.placeOf(about))).blocks;
  await disk.zero(MiB, 6 * MiB);
  await disk.flush();
  await disk.close();
  const { blocks, size } = await stat(target.placeOf(about));
  assert.equal(size, 16 * MiB);
  if (process.platform === 'linux')
    assert.ok((before - blocks) * 512 >= 5 * MiB, `${before} blocks, then ${blocks}`);
});

test('raw: another size is taken over only when it is settled; until then the file stays as it was', async () => {
  const target = openTarget(`dir:${fresh()}`);
  const about = spec(MiB);
  const disk = await target.openDisk(about);
  await disk.write(0, Buffer.alloc(MiB, 1));
  await disk.close();
  for (const size of [3 * MiB, 512 * KiB, 2 * MiB]) {
    const before = await readFile(target.placeOf(about));
    const other = await target.openDisk({ ...about, size });
    const is = Buffer.alloc(size, 0xee);
    await other.read(0, is);
    const wanted = Buffer.concat([before, Buffer.alloc(3 * MiB)]).subarray(0, size);
    assert.ok(is.equals(wanted));
    assert.equal((await stat(target.placeOf(about))).size, before.length);
    await other.settleSize();
    await other.write(size - 512, Buffer.alloc(512, 9));
    await other.close();
    wanted.fill(9, size - 512);
    assert.ok((await readFile(target.placeOf(about))).equals(wanted));
  }
});

test('the mark of an image changes when anybody writes to it, and else does not', async () => {
  const target = openTarget(`dir:${fresh()}`);
  const about = spec(MiB);
  await (await target.openDisk(about)).close();
  const mark = await target.markOf!(about);
  const disk = await target.openDisk(about);
  await disk.read(0, new Uint8Array(512));
  await disk.close();
  assert.equal(await target.markOf!(about), mark);
  await truncate(target.placeOf(about), MiB + 1);
  assert.notEqual(await target.markOf!(about), mark);
});

async function refused(address: string, disk: Partial<PlannedTargetDisk>, code: string): Promise<void> {
  const planned = { ...spec(4 * MiB), expected: 'new', neededBytes: MiB, ...disk } as const;
  await assert.rejects(openTarget(address).prepare([planned]), (error) => hasCode(error, code));
}

test('what a folder cannot hold is said before anything is written', async () => {
  const at = fresh();
  await refused(`dir:${at}`, { neededBytes: 2 ** 60 }, 'TARGET_NO_ROOM');
  await refused(`dir:${at}`, { expected: 'ours' }, 'TARGET_DISK_MISSING');
  await assert.rejects(stat(at), 'the folder was not made');
  const file = fresh();
  await writeFile(file, 'a file');
  await refused(`dir:${file}`, {}, 'TARGET_FOLDER_UNUSABLE');
  const target = openTarget(`dir:${at}?format=vhdx`);
  const about = spec(4 * MiB);
  await (await target.openDisk(about)).close();
  await refused(target.address, {}, 'TARGET_OCCUPIED');
  await refused(target.address, { expected: 'ours', size: 5 * MiB }, 'TARGET_SIZE_FIXED');
  await refused(target.address, { expected: 'ours', logicalSectorSize: 4096 }, 'TARGET_SECTOR_SIZE_DIFFERS');
  await refused(target.address, { expected: 'ours', name: 'other' }, 'TARGET_DISK_MISSING');
  await createVhdx(join(at, 'parent.vhdx'), { size: 4 * MiB, kind: 'dynamic' });
  await createDifferencingVhdx(join(at, 'child.vhdx'), { parentPath: join(at, 'parent.vhdx') });
  await refused(target.address, { expected: 'existing', name: 'child' }, 'TARGET_NOT_AN_IMAGE');
});

test('what exports cannot hold is said before anything is written', async () => {
  const socket = `${fresh()}.sock`;
  const [written, large, small] = [new MemoryDisk(4 * MiB), new MemoryDisk(5 * MiB), new MemoryDisk(2 * MiB)];
  await written.write(512, Buffer.alloc(512, 1));
  await using _server = await NbdServer.listen(
    { kind: 'unix', path: socket },
    {
      exports: new Map([
        ['written', { disk: written, writer: written }],
        ['large', { disk: large, writer: large }],
        ['small', { disk: small, writer: small }],
        ['read-only', { disk: large }],
      ]),
    },
  );
  const at = (name: string): string => `nbd+unix:///${name}?socket=${socket}`;
  await refused(at('written'), {}, 'TARGET_OCCUPIED');
  await refused(at('small'), { expected: 'ours' }, 'TARGET_TOO_SMALL');
  await refused(at('read-only'), { expected: 'ours' }, 'TARGET_READ_ONLY');
  const disks = [1, 2].map((number) => ({
    ...spec(MiB, { number }),
    expected: 'new' as const,
    neededBytes: MiB,
  }));
  await assert.rejects(openTarget(at('large')).prepare(disks), (error) =>
    hasCode(error, 'TARGET_ONE_DISK_ONLY'),
  );
  for (const [name, expected] of [
    ['large', 'new'],
    ['written', 'existing'],
  ] as const)
    await openTarget(at(name)).prepare([{ ...spec(4 * MiB), expected, neededBytes: MiB }]);
});

test('addresses: one spelling for one place, and what is none is refused', () => {
  assert.equal(openTarget('dir:/a/../b/').address, 'dir:/b?format=raw');
  assert.equal(openTarget('dir:/b?format=vhdx').address, 'dir:/b?format=vhdx');
  const place = openTarget('nbd://host/{id}-{n}').placeOf({ diskId: 'ABC', number: 2, name: '' });
  assert.equal(place, 'nbd://host/abc-2');
  for (const address of ['', '/b', 'dir:b', 'dir:/b?format=qcow2', 'dir:', 'ftp://host/b'])
    assert.throws(
      () => openTarget(address),
      (error) => hasCode(error, 'TARGET_ADDRESS_INVALID'),
      address,
    );
  assert.throws(
    () => openTarget('nbd://'),
    (error) => hasCode(error, 'NBD_ADDRESS_INVALID'),
  );
});
