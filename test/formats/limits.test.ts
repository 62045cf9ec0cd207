/**
 * Small files that claim much: what they cost is bounded by what is in them, not by what they claim. Counted in reads, in bytes
 * and in bytes of memory asked for; never in time.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newGuid } from '../../src/base/index.ts';
import type { Disk } from '../../src/disk/index.ts';
import { buildVhd } from '../../src/vhd/built-vhd.fixture.ts';
import { openVhd } from '../../src/vhd/index.ts';
import { DirtyLog, type LoggedChange } from '../../src/vhdx/log-writer.fixture.ts';
import { createVhdx, openVhdx } from '../../src/vhdx/index.ts';
import { AllocationMeter } from './allocation-meter.ts';
import { MutableImage, type ReadCount } from './mutable-image.ts';
import { sumSeal } from './vhd-layout.ts';
import { MIB, PLACES, sealOf } from './vhdx-layout.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-limits-'));
after(() => rmSync(folder, { recursive: true }));

interface Cost extends ReadCount {
  memory: number;
  extents: number;
}

/** Opens, walks what is allocated of the whole disk, reads a MiB at both ends. */
async function costOf(image: MutableImage, open: typeof openVhdx | typeof openVhd): Promise<Cost> {
  const count = { reads: 0, readBytes: 0 };
  const meter = new AllocationMeter();
  meter.on();
  try {
    const disk: Disk = await open(image.reader(count));
    let extents = 0;
    for await (const _ of disk.allocated()) extents += 1;
    for (const at of [0, disk.size - MIB]) await disk.read(at, Buffer.alloc(MIB));
    await disk.close();
    return { ...count, memory: meter.bytes, extents };
  } finally {
    meter.off();
  }
}

async function emptyVhdx(size: number): Promise<Buffer> {
  const path = join(folder, `${size}.vhdx`);
  await createVhdx(path, { size, kind: 'dynamic', blockSize: MIB });
  const bytes = readFileSync(path);
  rmSync(path);
  return bytes;
}

test('a VHDX of 4 MiB that claims 30 TiB is opened and walked for some hundred reads and few MiB', async () => {
  const image = new MutableImage(await emptyVhdx(4 * MIB));
  const blockSize = Buffer.alloc(4);
  blockSize.writeUInt32LE(256 * MIB);
  const size = Buffer.alloc(8);
  // Blocks of 256 MiB: 16 in a chunk, so the table of 1 MiB has room for 123,361 of them and their bitmaps.
  size.writeBigUInt64LE(BigInt(123_361 * 256 * MIB));
  image.apply(
    [
      { offset: PLACES.items, bytes: blockSize },
      { offset: PLACES.items + 8, bytes: size },
    ],
    [],
  );
  const cost = await costOf(image, openVhdx);
  assert.ok(cost.reads < 100, `${cost.reads} reads`);
  assert.ok(cost.readBytes < 8 * MIB && cost.memory < 16 * MIB, JSON.stringify(cost));
  assert.equal(cost.extents, 0);
});

test('a VHD of 64 KiB that claims 2040 GiB is opened and walked for some reads and few MiB', async () => {
  const path = join(folder, 'thin.vhd');
  const size = 2040 * 2 ** 30;
  const blockSize = 256 * MIB;
  const bytes = buildVhd(path, { kind: 'dynamic', size, uniqueId: newGuid(), blockSize });
  const cost = await costOf(new MutableImage(bytes), openVhd);
  assert.ok(bytes.length < 64 * 1024);
  assert.ok(cost.reads < 20 && cost.readBytes < 4 * MIB && cost.memory < 8 * MIB, JSON.stringify(cost));
});

test('a VHD whose table has no room for what it claims is refused before any memory is asked for it', async () => {
  const path = join(folder, 'claims.vhd');
  const bytes = buildVhd(path, { kind: 'dynamic', size: 2 * MIB, uniqueId: newGuid(), blockSize: 65_536 });
  const image = new MutableImage(bytes);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(200 * 2 ** 30));
  const entries = Buffer.alloc(4, 0xff);
  const end = bytes.length - 512;
  image.apply(
    [0, end].map((at) => ({ offset: at + 48, bytes: size })).concat({ offset: 512 + 28, bytes: entries }),
    [sumSeal(0, 512, 64), sumSeal(end, 512, 64), sumSeal(512, 1024, 36)],
  );
  const count = { reads: 0, readBytes: 0 };
  const meter = new AllocationMeter();
  meter.on();
  await assert.rejects(openVhd(image.reader(count)), /block table/).finally(() => meter.off());
  assert.ok(meter.bytes < 65_536, `${meter.bytes} bytes`);
});

/** A file whose log is `ring`, with the bytes of it where the headers say. */
function dirtyImage(clean: Buffer, log: DirtyLog): MutableImage {
  const bytes = Buffer.concat([clean, log.ring]);
  const image = new MutableImage(bytes);
  const place = Buffer.alloc(12);
  place.writeUInt32LE(log.ring.length);
  place.writeBigUInt64LE(BigInt(clean.length), 4);
  const guid = Buffer.from(log.guid.replaceAll('-', ''), 'hex');
  guid.subarray(0, 4).reverse();
  guid.subarray(4, 6).reverse();
  guid.subarray(6, 8).reverse();
  image.apply(
    PLACES.headers.flatMap((at) => [
      { offset: at + 48, bytes: guid },
      { offset: at + 68, bytes: place },
    ]),
    PLACES.headers.map((at) => sealOf(at, 4096)),
  );
  return image;
}

test('a log that alternates pages and zeros without end costs memory in proportion to its length', async () => {
  const clean = await emptyVhdx(4 * MIB);
  const page = Buffer.alloc(4096, 7);
  const changes = Array.from({ length: 3000 }, (_, n): LoggedChange[] => [
    { offset: 64 * MIB + 8192 * n, data: page },
    { offset: 2 ** 40 + 2 ** 24 * n, zeros: 2 ** 20 },
  ]).flat();
  const log = new DirtyLog(16 * MIB);
  log.write(0, { sequence: 5n, tail: 0, changes });
  const image = dirtyImage(clean, log);
  const cost = await costOf(image, openVhdx);
  assert.ok(cost.memory < 2 * image.size + 16 * MIB, JSON.stringify(cost));
  assert.ok(cost.readBytes < 2 * image.size);
});
