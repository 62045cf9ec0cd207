import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { requires } from '../../test/requires.ts';
import { GiB, MiB } from '../base/index.ts';
import { footer } from './format.ts';
import { geometryOf, geometrySize } from './geometry.ts';
import { scratchFolder } from './scratch.fixture.ts';

const folder = scratchFolder();

test('Windows’ own disks: 10 MiB and 127 GiB have the geometry that Windows gave them', () => {
  assert.equal(geometrySize(geometryOf(10 * MiB)), 10_479_616);
  assert.equal(geometrySize(geometryOf(136_365_211_648)), 136_363_130_880);
});

test('a geometry is never larger than its disk, fits its fields, and loses less than one cylinder', () => {
  fc.assert(
    fc.property(fc.integer({ min: 4 * 17, max: 2040 * 2 * MiB }), (sectors) => {
      const geometry = geometryOf(sectors * 512);
      const { cylinders, heads, sectorsPerTrack } = geometry;
      assert.ok(cylinders >= 1 && cylinders <= 65535 && heads <= 16 && sectorsPerTrack <= 255);
      const lost = sectors * 512 - geometrySize(geometry);
      const capped = cylinders === 65535 && sectorsPerTrack === 255;
      assert.ok(lost >= 0 && (capped || lost < heads * sectorsPerTrack * 512), `${lost} bytes`);
    }),
    { numRuns: 1000 },
  );
});

test(
  'qemu, which makes the size from the geometry, keeps every size we give one to',
  requires(['qemu-img'], 'that another program has the same geometries'),
  () => {
    for (const size of [MiB, 40 * MiB, 504 * MiB, 3 * GiB, 8 * GiB, 31 * GiB, 127 * GiB, 500 * GiB]) {
      const path = join(folder, 'geometry.vhd');
      const exact = geometrySize(geometryOf(size));
      execFileSync('qemu-img', ['create', '-q', '-f', 'vpc', path, String(exact)]);
      const theirs = footer.read(readFileSync(path).subarray(0, 512));
      assert.equal(theirs.currentSize, exact, String(size));
      assert.equal(geometrySize(theirs), exact, String(size));
      rmSync(path);
    }
  },
);
