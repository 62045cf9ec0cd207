import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { newGuid } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { Random } from './random.ts';
import { scratch } from './scratch.fixture.ts';
import { TruthLog } from './truth-log.ts';
import { openTruth } from './truth-reader.ts';

const SIZE = 300_000;

const event = fc.record({
  kind: fc.constantFrom('write', 'write', 'write', 'zero', 'seal', 'reopen'),
  offset: fc.nat(SIZE - 1),
  length: fc.integer({ min: 1, max: 70_000 }),
  seed: fc.nat(),
});

async function contentOf(log: TruthLog, seal?: string): Promise<Buffer> {
  const reader = (await openTruth(log, seal))!;
  const bytes = Buffer.alloc(reader.size);
  await reader.read(0, bytes);
  await reader.close();
  return bytes;
}

async function allOf(disk: MemoryDisk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size);
  await disk.read(0, bytes);
  return bytes;
}

test('every seal reads as the disk was then, over a base image, through restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), fc.boolean(), async (events, withBase) => {
      await using temporary = await scratch();
      const folder = join(temporary.folder, 'truth');
      let log = await TruthLog.create(folder, SIZE);
      const model = new MemoryDisk(SIZE);
      if (withBase) {
        const base = new Random(9).bytes(100_000); // shorter than the disk: the rest is zeros
        await writeFile(log.basePath, base);
        await model.write(0, base);
      }
      const seals: { id: string; content: Buffer }[] = [];
      for (const { kind, offset, seed, ...one } of events) {
        const length = Math.min(one.length, SIZE - offset);
        if (kind === 'write') {
          const bytes = new Random(seed).bytes(length);
          await log.write(offset, bytes);
          await model.write(offset, bytes);
        } else if (kind === 'zero') {
          await log.zero(offset, length);
          await model.zero(offset, length);
        } else if (kind === 'seal') {
          const id = newGuid();
          await log.seal(id);
          seals.push({ id, content: await allOf(model) });
        } else {
          await log.close();
          log = await TruthLog.open(folder);
        }
      }
      for (const { id, content } of seals) assert.ok((await contentOf(log, id)).equals(content));
      assert.ok((await contentOf(log)).equals(await allOf(model)));
      await log.close();
    }),
    { numRuns: 60 },
  );
});

test('half an event at the end, as a kill leaves it, is cut off', async () => {
  await using temporary = await scratch();
  const log = await TruthLog.create(temporary.folder, 4096);
  await log.write(0, Buffer.from('whole'));
  await log.close();
  await appendFile(join(temporary.folder, 'index.log'), Buffer.alloc(20, 1));
  await appendFile(join(temporary.folder, 'data.log'), 'half a wri');
  const again = await TruthLog.open(temporary.folder);
  await again.write(10, Buffer.from('next'));
  const content = await contentOf(again);
  assert.equal(content.toString('latin1', 0, 14), 'whole\0\0\0\0\0next');
  await again.close();
});

test('shrinking a disk and growing it again leaves zeros, and a seal before keeps its size', async () => {
  await using temporary = await scratch();
  const log = await TruthLog.create(temporary.folder, 8192);
  await log.write(0, Buffer.alloc(8192, 7));
  const id = newGuid();
  await log.seal(id);
  await log.resize(4096);
  await log.resize(12_288);
  assert.ok((await contentOf(log)).equals(Buffer.concat([Buffer.alloc(4096, 7), Buffer.alloc(8192)])));
  assert.ok((await contentOf(log, id)).equals(Buffer.alloc(8192, 7)));
  await log.close();
});

test('the first differing byte is found wherever it is, and a wrong size is a difference', async () => {
  await using temporary = await scratch();
  const log = await TruthLog.create(temporary.folder, SIZE);
  await log.write(1000, new Random(1).bytes(5000));
  const reader = (await openTruth(log))!;
  const image = new MemoryDisk(SIZE);
  await image.write(1000, new Random(1).bytes(5000));
  assert.equal(await reader.firstDifference(image), undefined);
  for (const offset of [0, 999, 1000, 5999, 6000, SIZE - 1]) {
    const damaged = image.snapshot();
    const byte = new Uint8Array(1);
    await damaged.read(offset, byte);
    await damaged.write(offset, Uint8Array.of(byte[0]! ^ 1));
    assert.equal(await reader.firstDifference(damaged), offset);
  }
  const short = new MemoryDisk(SIZE - 512);
  await short.write(1000, new Random(1).bytes(5000));
  assert.equal(await reader.firstDifference(short), SIZE - 512);
  await reader.close();
  await log.close();
});
