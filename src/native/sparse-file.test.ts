import assert from 'node:assert/strict';
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB } from '../base/index.ts';
import { nextData } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-native-'));
after(() => rmSync(folder, { recursive: true }));

test('the runs of a sparse file hold every byte that was written, and its holes are left out', () => {
  const fd = openSync(join(folder, 'sparse'), 'w+');
  const size = 64 * MiB;
  ftruncateSync(fd, size);
  const written = [0, 5 * MiB + 7, 40 * MiB, size - 1];
  for (const at of written) writeSync(fd, Buffer.of(1), 0, 1, at);
  const runs: { offset: number; length: number }[] = [];
  for (let at = 0; ;) {
    const run = nextData(fd, at, size);
    if (run === 'all') runs.push({ offset: at, length: size - at });
    if (!run || run === 'all') break;
    runs.push(run);
    at = run.offset + run.length;
  }
  for (const at of written) {
    assert.ok(
      runs.some(({ offset, length }) => offset <= at && at < offset + length),
      `byte ${at}`,
    );
  }
  const total = runs.reduce((sum, { length }) => sum + length, 0);
  // A file system without holes stores them: then all of it is data, and that is what it says.
  assert.ok(total < MiB || fstatSync(fd).blocks * 512 >= size, `${total}`);
  closeSync(fd);
});

test('behind the end of a file that was cut there is no hole', () => {
  const fd = openSync(join(folder, 'cut'), 'w+');
  ftruncateSync(fd, MiB);
  assert.equal(nextData(fd, 0, 2 * MiB), 'all');
  closeSync(fd);
});
