import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { MemoryDisk, type Disk } from '../disk/index.ts';
import { OverlayDisk } from './overlay-disk.ts';

let folder: string;
let made = 0;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'hvlift-overlay-'))));
after(() => rm(folder, { recursive: true }));
const fresh = (): string => join(folder, String((made += 1)));

const SIZE = 5 * 65_536 + 777;

async function filledDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk(SIZE);
  await disk.write(65_000, randomBytes(100_000));
  return disk;
}

async function contentOf(disk: Disk, offset = 0, length = disk.size): Promise<Buffer> {
  const bytes = Buffer.alloc(length, 0xee);
  await disk.read(offset, bytes);
  return bytes;
}

const extents = fc
  .tuple(fc.nat({ max: SIZE }), fc.nat({ max: SIZE }))
  .map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constant('write' as const),
        at: extents,
        fill: fc.integer({ min: 1, max: 255 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ what: fc.constant('zero' as const), at: extents, fill: fc.constant(0) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant('reopen' as const), at: extents, fill: fc.constant(0) }),
    },
  ),
  { maxLength: 15 },
);

test('any writes and zeros, closed and opened again in between, read back; the disk below stays as it was', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const below = await filledDisk();
      const before = await contentOf(below);
      const model = below.snapshot();
      const path = fresh();
      const base = () => ({ disk: below, identity: 'point 1, disk 1' });
      below.close = async () => {}; // it outlives the overlays that lie over it in turn
      let overlay = await OverlayDisk.create(path, base());
      for (const { what, at, fill } of all) {
        const bytes = new Uint8Array(at.length).fill(fill);
        if (what === 'write')
          await Promise.all([overlay.write(at.offset, bytes), model.write(at.offset, bytes)]);
        else if (what === 'zero')
          await Promise.all([overlay.zero(at.offset, at.length), model.zero(at.offset, at.length)]);
        else {
          await overlay.close();
          overlay = await OverlayDisk.open(path, base());
        }
        assert.deepEqual(
          await contentOf(overlay, at.offset, at.length),
          await contentOf(model, at.offset, at.length),
        );
      }
      const content = await contentOf(overlay);
      assert.deepEqual(content, await contentOf(model));
      assert.deepEqual(await contentOf(below), before);
      for await (const { offset, length } of overlay.allocated()) content.fill(0, offset, offset + length);
      assert.ok(content.equals(Buffer.alloc(SIZE)), 'what is not told as data is zeros');
      await overlay.close();
    }),
    { numRuns: 60 },
  );
});

test('small writes to one block at the same time all arrive', async () => {
  const below = await filledDisk();
  const expected = await contentOf(below);
  const overlay = await OverlayDisk.create(fresh(), { disk: below, identity: 'x' });
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const bytes = Buffer.from([index + 1, index + 1, index + 1]);
      bytes.copy(expected, 65_400 + index * 7);
      await overlay.write(65_400 + index * 7, bytes);
    }),
  );
  assert.deepEqual(await contentOf(overlay), expected);
  await overlay.close();
});

test('a disk of 64 TiB costs what is written, at either end', async () => {
  const below = new MemoryDisk(64 * 2 ** 40);
  const path = fresh();
  const overlay = await OverlayDisk.create(path, { disk: below, identity: 'x' });
  await overlay.write(64 * 2 ** 40 - 5, Buffer.from('at en'));
  await overlay.write(2 ** 40 - 2, Buffer.from('over'));
  await overlay.zero(3 * 2 ** 40, 2 ** 30);
  await overlay.flush();
  assert.equal((await contentOf(overlay, 2 ** 40 - 2, 4)).toString(), 'over');
  assert.deepEqual(await Array.fromAsync(overlay.allocated()), [
    { offset: 2 ** 40 - 65_536, length: 131_072 },
    { offset: 64 * 2 ** 40 - 65_536, length: 65_536 },
  ]);
  await overlay.close();
  const last = await stat(join(path, 'data-63.bin'));
  assert.ok(last.blocks * 512 < 2 ** 20, 'sparse');
});

test('what was flushed is there after a crash, and nothing that is half a block', async () => {
  const below = await filledDisk();
  const path = fresh();
  const identity = 'point 1, disk 1';
  const crashed = await OverlayDisk.create(path, { disk: below.snapshot(), identity });
  await crashed.write(70_000, Buffer.from('flushed'));
  await crashed.flush();
  await crashed.write(3 * 65_536 + 5, Buffer.from('not flushed')); // no flush, no close: the process is gone
  const overlay = await OverlayDisk.open(path, { disk: below, identity });
  assert.equal((await contentOf(overlay, 70_000, 7)).toString(), 'flushed');
  assert.deepEqual(await contentOf(overlay, 3 * 65_536, 65_536), await contentOf(below, 3 * 65_536, 65_536));
  await overlay.close();
  await crashed.close().catch(() => undefined);
});

test('an overlay of something else is refused, and none is made where something is', async () => {
  const path = fresh();
  const base = { disk: await filledDisk(), identity: 'point 1' };
  await (await OverlayDisk.create(path, base)).close();
  const again = { disk: await filledDisk(), identity: 'point 1' };
  await assert.rejects(OverlayDisk.create(path, again), (error) => hasCode(error, 'OVERLAY_EXISTS'));
  await assert.rejects(OverlayDisk.open(path, { ...again, identity: 'point 2' }), (error) =>
    hasCode(error, 'OVERLAY_OTHER_BASE'),
  );
  await assert.rejects(OverlayDisk.open(path, { ...again, disk: new MemoryDisk(512) }), (error) =>
    hasCode(error, 'OVERLAY_OTHER_BASE'),
  );
  await assert.rejects(OverlayDisk.open(fresh(), again), (error) => hasCode(error, 'OVERLAY_NOT_ONE'));
  for (const text of ['', '[]', '{"format":"hvlift-overlay","version":9}', 'null']) {
    await writeFile(join(path, 'overlay.json'), text);
    await assert.rejects(OverlayDisk.open(path, again), (error) => hasCode(error, 'OVERLAY_NOT_ONE'), text);
  }
});

test('a flush vouches for what was written before it, never for what is written while it runs', async () => {
  const path = fresh();
  const overlay = await OverlayDisk.create(path, { disk: await filledDisk(), identity: 'x' });
  await overlay.write(0, Buffer.from('before'));
  await Promise.all([overlay.flush(), overlay.write(65_536, Buffer.from('meanwhile'))]);
  const [states] = await readFile(join(path, 'states.bin'));
  assert.equal(states, 0b0001, 'the first block is data, the second is not told of yet');
  await overlay.close();
  assert.equal((await readFile(join(path, 'states.bin')))[0], 0b0101);
});
