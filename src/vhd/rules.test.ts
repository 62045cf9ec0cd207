/** Rules of the specification for who makes a file, where no other test is about them, looked at byte by byte. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { KiB, MiB, isZero } from '../base/index.ts';
import { createVhd } from './create.ts';
import { scratchFolder } from './scratch.fixture.ts';
import { openVhdWritable } from './vhd-file.ts';

const folder = scratchFolder();
const SIZE = 131 * MiB;
const files = new Map<string, Buffer>();

before(async () => {
  for (const name of ['dynamic', 'again', 'fixed']) {
    const path = join(folder, `${name}.vhd`);
    const kind = name === 'fixed' ? 'fixed' : 'dynamic';
    await createVhd(path, { size: kind === 'fixed' ? 64 * KiB : SIZE, kind });
    const file = await openVhdWritable(path);
    await file.write(0, Buffer.alloc(512, 1));
    await file.close();
    files.set(name, readFileSync(path));
  }
});

const footerOf = (name: string): Buffer => files.get(name)!.subarray(-512);

test('a footer that is made here has the reserved feature bit, version 1.0 and zeros in everything reserved', () => {
  for (const name of files.keys()) {
    const footer = footerOf(name);
    assert.deepEqual([footer.readUInt32BE(8), footer.readUInt32BE(12)], [2, 0x10000], name);
    assert.ok(isZero(footer.subarray(85)), name);
    const isFixed = footer.readUInt32BE(60) === 2;
    assert.equal(footer.readBigUInt64BE(16), isFixed ? 0xffffffffffffffffn : 512n);
  }
});

test('every file that is made has an identifier of its own', () => {
  const ids = [...files.keys()].map((name) => footerOf(name).toString('hex', 68, 84));
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => !/^0+$/.test(id)));
});

test('a dynamic header that is made here has zeros in everything reserved, and its table fills whole sectors with ones', () => {
  const file = files.get('dynamic')!;
  const header = file.subarray(512, 1536);
  assert.equal(header.readBigUInt64BE(8), 0xffffffffffffffffn);
  for (const [from, to] of [
    [40, 64],
    [64, 768],
    [768, 1024],
  ] as const) {
    assert.ok(isZero(header.subarray(from, to)), `${from} to ${to}`);
  }
  const table = Number(header.readBigUInt64BE(16));
  const blocks = Math.ceil(SIZE / header.readUInt32BE(32));
  assert.deepEqual([header.readUInt32BE(28), blocks % 128 !== 0], [blocks, true]);
  const rest = file.subarray(table + 4, table + Math.ceil((blocks * 4) / 512) * 512);
  assert.ok(rest.every((byte) => byte === 0xff));
});
