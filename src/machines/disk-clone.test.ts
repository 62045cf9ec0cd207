/** Clones: what a guest writes goes into them, what it does not write is read from below, and below nothing changes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { MiB, sleep } from '../base/index.ts';
import { cloneDisk, type DiskSource } from './index.ts';

const withQemu = requires(
  ['qemu-img', 'qemu-io', 'qemu-nbd'],
  'QEMU reads and writes clones, and leaves what is below',
);
const SIZE = 3 * MiB + 512;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hvlift-clone-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function base(name: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, Buffer.alloc(SIZE, 'what the VM held '));
  return path;
}

const hash = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

/** Writes over a boundary of clusters and reads both sides of it, and the last sector. */
async function assertClones(source: DiskSource, below: string): Promise<void> {
  const [before, path] = [await hash(below), `${below}.clone.qcow2`];
  await cloneDisk({ source, size: SIZE }, path);
  await cloneDisk({ source, size: SIZE }, path);
  const io = spawnSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0xa5 65000 1000', path], {
    encoding: 'utf8',
  });
  assert.equal(io.status, 0, io.stderr + io.stdout);
  const out = `${below}.out`;
  const convert = spawnSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, out], {
    encoding: 'utf8',
  });
  assert.equal(convert.status, 0, convert.stderr);
  const expected = Buffer.alloc(SIZE, 'what the VM held ').fill(0xa5, 65_000, 66_000);
  assert.deepEqual(await readFile(out), expected);
  assert.equal(await hash(below), before);
}

test('over a raw file, also one with a name that QEMU could take for something else', withQemu, async () => {
  for (const name of ['plain.raw', 'json:{}, a=b %.raw']) {
    const path = await base(name);
    await assertClones({ kind: 'file', path, format: 'raw' }, path);
  }
});

test('over a VHDX', withQemu, async () => {
  const path = join(folder, 'disk.vhdx');
  const raw = await base('for-vhdx.raw');
  assert.equal(spawnSync('qemu-img', ['convert', '-O', 'vhdx', raw, path]).status, 0);
  await assertClones({ kind: 'file', path, format: 'vhdx' }, path);
});

test(
  'over an NBD export that is larger than the disk, by a name with commas and quotes',
  withQemu,
  async () => {
    const path = await base('for-nbd.raw');
    await writeFile(path, Buffer.alloc(MiB), { flag: 'a' });
    const [socket, exportName] = [join(folder, 'nbd.sock'), 'disk 1, "of" web01'];
    const server = spawn('qemu-nbd', [
      '-r',
      '-f',
      'raw',
      '-x',
      exportName,
      '-k',
      socket,
      '-t',
      '-e',
      '4',
      path,
    ]);
    try {
      const signal = AbortSignal.timeout(10_000);
      while (!(await stat(socket).catch(() => undefined))) await sleep(20, signal);
      await assertClones({ kind: 'nbd', place: { kind: 'unix', path: socket }, exportName }, path);
    } finally {
      const ended = once(server, 'exit');
      server.kill();
      await ended;
    }
  },
);
