import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { Random } from '../model/random.ts';
import { scratch } from '../model/scratch.fixture.ts';
import { copyFiles, realFiles } from './real-files.ts';

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map((file) => stat(join(file.parentPath, file.name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

test('two targets get different files of the same source, each as many bytes as asked, whole', async () => {
  await using temporary = await scratch();
  const source = join(temporary.folder, 'source');
  await mkdir(join(source, 'deep', 'er'), { recursive: true });
  for (let n = 0; n < 12; n += 1) {
    await writeFile(join(source, n % 2 ? 'deep/er' : '.', `file-${n}`), new Random(n).bytes(100 * KiB));
  }
  await writeFile(join(source, 'small'), 'small');
  await symlink('/', join(source, 'to-everything'));
  const files = realFiles([source, join(source, 'nowhere')]);
  const [a, b] = [join(temporary.folder, 'a'), join(temporary.folder, 'b')];
  assert.deepEqual(await copyFiles(files, a, 500 * KiB), { files: 5, bytes: 500 * KiB, madeUpBytes: 0 });
  assert.equal((await copyFiles(files, b, 500 * KiB)).files, 5);
  assert.equal(await bytesBelow(a), 500 * KiB);
  const names = await Promise.all([a, b].map((folder) => readdir(join(folder, source), { recursive: true })));
  const copied = names.flat().filter((name) => /file-/.test(name));
  assert.equal(new Set(copied).size, 10);
  for (const name of copied.filter((each) => names[0]!.includes(each))) {
    assert.ok((await readFile(join(a, source, name))).equals(await readFile(join(source, name))), name);
  }
});

test('a machine with too few files gets random ones, and that is said', async () => {
  await using temporary = await scratch();
  const target = join(temporary.folder, 'target');
  const copied = await copyFiles(realFiles([join(temporary.folder, 'empty')]), target, 20 * MiB);
  assert.deepEqual(copied, { files: 0, bytes: 0, madeUpBytes: 20 * MiB });
  assert.equal(await bytesBelow(target), 20 * MiB);
});
