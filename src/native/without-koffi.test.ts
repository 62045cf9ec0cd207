/** koffi is optional: without it nothing is faster, and nothing fails. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nextData, systemZstd } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-native-'));
const hooks = registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'koffi') throw new Error("Cannot find package 'koffi'");
    return next(specifier, context);
  },
});
after(() => {
  hooks.deregister();
  rmSync(folder, { recursive: true });
});

test('without koffi every file is all data', () => {
  const path = join(folder, 'hole');
  writeFileSync(path, '');
  truncateSync(path, 1_000_000);
  const fd = openSync(path, 'r');
  assert.equal(nextData(fd, 0, 1_000_000), 'all');
  closeSync(fd);
});

test('without koffi there is no zstd of the system', () => {
  assert.equal(systemZstd(), undefined);
});
