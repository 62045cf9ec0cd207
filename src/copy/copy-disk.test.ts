import assert from 'node:assert/strict';
import { readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB, hasCode, isZero } from '../base/index.ts';
import { CountingDisk, FileReader, MemoryDisk, RawDisk, type Disk } from '../disk/index.ts';
import { diskOf, rawFile, type Stroke } from '../images/judges.fixture.ts';
import { bufferBytesMax, copyDisk } from './index.ts';
import { SOURCES, ScatteredTarget, contentOf, flatTarget, newPath } from './copy.fixture.ts';

/** Sizes around cells and batches, and strokes of any alignment. */
const smallDisk = fc
  .oneof(
    fc.constantFrom(512, 64 * KiB, 64 * KiB + 512, 4 * MiB, 8 * MiB + 512),
    fc.integer({ min: 1, max: 9 * MiB }),
  )
  .chain((size) => {
    const stroke = fc.record({
      offset: fc.nat(size - 1),
      length: fc.integer({ min: 1, max: 300 * KiB }),
      kind: fc.constantFrom('noise' as const, 'text' as const, 'zeros' as const),
    });
    return fc.record({ size: fc.constant(size), strokes: fc.array(stroke, { maxLength: 8 }) });
  });

/** 40 MiB: more than the buffers of one thread. */
const LARGE: readonly Stroke[] = Array.from({ length: 40 }, (_, i) => ({
  offset: i * MiB,
  length: MiB - 4096,
  kind: 'text' as const,
}));

async function rawDisk(size: number, strokes: readonly Stroke[]): Promise<{ disk: RawDisk; path: string }> {
  const path = await rawFile(await diskOf(size, strokes), newPath('source'));
  return { disk: new RawDisk(await FileReader.open(path)), path };
}

for (const [kind, open] of Object.entries(SOURCES)) {
  for (const workers of [0, 2]) {
    test(`${kind}, ${workers} threads: every target gets the bytes of the disk, whatever lies where`, async () => {
      const property = fc.asyncProperty(smallDisk, async ({ size, strokes }) => {
        const source = await open(size, strokes);
        const expected = Buffer.alloc(source.size);
        (await contentOf(await diskOf(size, strokes))).copy(expected);
        for (const target of [flatTarget(source.size), new ScatteredTarget(source.size)]) {
          await copyDisk({ source, target, workers });
          assert.ok(target.content().equals(expected));
        }
        await source.close();
      });
      await fc.assert(property, { numRuns: workers === 0 ? 12 : 4 });
    });
  }
}

test('zeros are read, and neither placed nor written: the copy of an empty disk takes no room', async () => {
  const zeros = [{ offset: 0, length: 32 * MiB, kind: 'zeros' as const }];
  const { disk } = await rawDisk(32 * MiB, [...zeros, { offset: 9 * MiB + 5, length: 3, kind: 'noise' }]);
  const scattered = new ScatteredTarget(disk.size);
  const flat = flatTarget(disk.size);
  for (const target of [scattered, flat]) {
    const stats = await copyDisk({ source: disk, target, workers: 1 });
    assert.deepEqual([stats.readBytes, stats.writtenBytes], [32 * MiB, 64 * KiB]);
  }
  assert.deepEqual(
    scattered.placed.map(({ offset, length }) => [offset, length]),
    [[9 * MiB, 64 * KiB]],
  );
  assert.equal(statSync(flat.path).blocks * 512, 64 * KiB);
  await disk.close();
});

test('of a local source the main thread reads nothing', async () => {
  const { disk } = await rawDisk(8 * MiB, LARGE.slice(0, 8));
  const counted = new CountingDisk(disk);
  const source: Disk = Object.assign(counted, { located: (within: never) => disk.located(within) });
  for (const target of [flatTarget(disk.size), new ScatteredTarget(disk.size)]) {
    await copyDisk({ source, target, workers: 1 });
    assert.ok(target.content().equals(await contentOf(disk)));
  }
  assert.equal(counted.stats.reads, 0);
  await disk.close();
});

for (const workers of [0, 1, 2]) {
  test(`${workers} threads: buffers take no more than is stated, for a source that is not local or a target with tables`, async () => {
    const source = await diskOf(40 * MiB, LARGE);
    const { disk: local } = await rawDisk(40 * MiB, LARGE);
    for (const [disk, target] of [
      [source, flatTarget(source.size)],
      [source, new ScatteredTarget(source.size)],
      [local, new ScatteredTarget(source.size)],
    ] as const) {
      const { bufferBytes } = await copyDisk({ source: disk, target, workers });
      assert.ok(bufferBytes > 0 && bufferBytes <= bufferBytesMax(workers), `${bufferBytes}`);
    }
    const { bufferBytes } = await copyDisk({ source: local, target: flatTarget(source.size), workers });
    assert.equal(bufferBytes, 0); // threads use their own
    await local.close();
  });
}

test('however many threads there are, buffers take 88 MiB at most', () => {
  for (let workers = 0; workers <= 16; workers += 1) assert.ok(bufferBytesMax(workers) <= 88 * MiB);
});

test('progress adds up to the size of the disk, holes included, for every source and target', async () => {
  for (const open of Object.values(SOURCES)) {
    const source = await open(20 * MiB + 512, [
      { offset: 100, length: 10, kind: 'text' },
      { offset: 7 * MiB, length: 5 * MiB, kind: 'noise' },
    ]);
    for (const target of [flatTarget(source.size), new ScatteredTarget(source.size)]) {
      let total = 0;
      const progress = { phase() {}, note() {}, advance: (bytes: number) => void (total += bytes) };
      await copyDisk({ source, target, progress, workers: 0 });
      assert.equal(total, source.size);
    }
    await source.close();
  }
  const empty = new MemoryDisk(3 * MiB);
  const stats = await copyDisk({ source: empty, target: flatTarget(empty.size), workers: 0 });
  assert.deepEqual(stats, { readBytes: 0, writtenBytes: 0, bufferBytes: 0 });
});

test('a volume that is full ends it, by its own name and with that of the file', async () => {
  const { disk } = await rawDisk(40 * MiB, LARGE);
  const full = '/dev/full';
  for (const source of [disk, await diskOf(40 * MiB, LARGE)]) {
    for (const workers of [0, 2]) {
      for (const target of [flatTarget(source.size, full), new ScatteredTarget(source.size, full)]) {
        await assert.rejects(
          copyDisk({ source, target, workers }),
          (error) => hasCode(error, 'DISK_NO_SPACE') && error.message.includes(full),
        );
      }
    }
  }
  await disk.close();
});

test('a target that is not there is named before anything is read', async () => {
  const source = new CountingDisk(await diskOf(MiB, LARGE.slice(0, 1)));
  const target = flatTarget(source.size, '/no-such-folder/image');
  await assert.rejects(
    copyDisk({ source, target }),
    (error) => hasCode(error, 'DISK_IO_FAILED') && error.message.includes('/no-such-folder/image'),
  );
  assert.equal(source.stats.reads, 0);
});

test('a source that was cut, or replaced by another file, ends it', async () => {
  const cut = await rawDisk(16 * MiB, LARGE.slice(0, 16));
  truncateSync(cut.path, 9 * MiB);
  const replaced = await rawDisk(16 * MiB, LARGE.slice(0, 16));
  writeFileSync(`${replaced.path}.new`, readFileSync(replaced.path));
  renameSync(`${replaced.path}.new`, replaced.path);
  for (const workers of [0, 1]) {
    for (const [{ disk }, code] of [
      [cut, 'DISK_TRUNCATED'],
      [replaced, 'DISK_REPLACED'],
    ] as const) {
      for (const target of [flatTarget(disk.size), new ScatteredTarget(disk.size)]) {
        await assert.rejects(copyDisk({ source: disk, target, workers }), (error) => hasCode(error, code));
      }
    }
  }
  await cut.disk.close();
  await replaced.disk.close();
});

test('what a source that is not local throws, the copy throws', async () => {
  const inner = await diskOf(16 * MiB, LARGE.slice(0, 16));
  const source: Disk = Object.assign(new CountingDisk(inner), {
    read: async (offset: number, into: Uint8Array) => {
      if (offset >= 8 * MiB) throw new Error('the link broke');
      await inner.read(offset, into);
    },
  });
  for (const target of [flatTarget(source.size), new ScatteredTarget(source.size)]) {
    await assert.rejects(copyDisk({ source, target, workers: 1 }), /the link broke/);
  }
});

for (const workers of [0, 2]) {
  test(`${workers} threads: a cancelled copy ends with the reason, and nothing is written afterwards`, async () => {
    const { disk } = await rawDisk(40 * MiB, LARGE);
    for (const source of [disk, await diskOf(40 * MiB, LARGE)]) {
      for (const target of [flatTarget(source.size), new ScatteredTarget(source.size)]) {
        const controller = new AbortController();
        let advanced = 0;
        const progress = {
          phase() {},
          note() {},
          advance(bytes: number) {
            advanced += bytes;
            controller.abort(new Error('stop'));
          },
        };
        const { signal } = controller;
        await assert.rejects(copyDisk({ source, target, workers, progress, signal }), /stop/);
        assert.ok(advanced > 0 && advanced < source.size);
        const left = readFileSync(target.path);
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.ok(readFileSync(target.path).equals(left) && !isZero(left));
      }
    }
    await disk.close();
  });
}

test('a signal that is aborted already writes nothing', async () => {
  const source = await diskOf(MiB, LARGE.slice(0, 1));
  const target = flatTarget(source.size);
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(copyDisk({ source, target, signal }), /stop/);
  assert.ok(isZero(target.content()));
});
