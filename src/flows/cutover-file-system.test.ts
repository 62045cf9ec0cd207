/**
 * The disk of the VM is a real file system: after a cut of its cutover the last complete generation is one that e2fsck finds whole,
 * with every file of it, and so is what the other side starts from. That it is exact to the byte, cutover-crash.test.ts shows.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { requires } from '../../test/requires.ts';
import { MiB } from '../base/index.ts';
import type { MemoryDisk } from '../disk/index.ts';
import { CutoverWorld, memoryFolder } from './cutover-world.fixture.ts';
import { Replica } from './replicate-state.ts';
import { settleTarget } from './replicate-target.ts';

const run = promisify(execFile);
const folder = await mkdtemp(join(memoryFolder(), 'hvlift-cutover-ext4-'));
after(() => rm(folder, { recursive: true }));

const SIZE = 4 * MiB;
const BLOCK = 4096;

const textOf = (n: number): Buffer => Buffer.alloc(30_000 + n, `file ${n} `);
const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Writes files into its file system, and only what changed by that onto the disk of the VM. */
class FileSystemGuest {
  /** f.1, f.2 … */
  files = 0;
  readonly #world: CutoverWorld;
  readonly #image = join(folder, 'guest.raw');
  #onDisk = Buffer.alloc(SIZE, 0xff);

  constructor(world: CutoverWorld) {
    this.#world = world;
    world.vm.lastWords = () => this.writes();
  }

  async formats(): Promise<void> {
    await run('mke2fs', ['-q', '-F', '-t', 'ext4', this.#image, `${SIZE / 1024}k`]);
    await this.writes();
  }

  async writes(): Promise<void> {
    this.files += 1;
    const text = join(folder, 'text');
    await writeFile(text, textOf(this.files));
    await run('debugfs', ['-w', '-R', `write ${text} f.${this.files}`, this.#image]);
    const image = await readFile(this.#image);
    for (let at = 0; at < SIZE; at += BLOCK) {
      const block = image.subarray(at, at + BLOCK);
      if (!block.equals(this.#onDisk.subarray(at, at + BLOCK))) await this.#world.vm.write(0, at, block);
    }
    this.#onDisk = image;
  }
}

/** How many files there are, from f.1 on; each has its text. */
async function filesOf(disk: MemoryDisk, when: string): Promise<number> {
  const [image, files] = [join(folder, 'judged.raw'), join(folder, 'judged')];
  const content = Buffer.alloc(SIZE);
  await disk.read(0, content);
  await writeFile(image, content);
  await assert.doesNotReject(run('e2fsck', ['-f', '-n', image]), when);
  await rm(files, { recursive: true, force: true });
  await mkdir(files);
  await run('debugfs', ['-R', `rdump / ${files}`, image]);
  const names = (await readdir(files)).filter((name) => name.startsWith('f.'));
  for (const name of names) {
    const expected = hashOf(textOf(Number(name.slice(2))));
    assert.equal(hashOf(await readFile(join(files, name))), expected, `${when}: ${name}`);
  }
  return names.length;
}

/** As whoever comes after the cut finds it. */
async function lastGeneration(world: CutoverWorld): Promise<MemoryDisk> {
  const { vm, target, stateFolder } = world;
  await using replica = await Replica.hold(stateFolder, { vm: vm.vm, target: target.address });
  await settleTarget(replica, target, { advance() {} });
  return target.contentOf(vm.disks[0]!.id);
}

async function isFinal(world: CutoverWorld): Promise<boolean> {
  return ['committing', 'committed'].includes((await world.state())?.step ?? '');
}

test(
  'cut on the way, the last complete generation is a whole file system with every file of it; what starts has them all',
  requires(['mke2fs', 'debugfs', 'e2fsck'], 'a real file system goes through a cutover that is cut'),
  async () => {
    const world = await CutoverWorld.open(join(folder, 'state'), [SIZE]);
    const guest = new FileSystemGuest(world);
    await guest.formats();
    await world.cycle();
    let cuts = 0;
    // Each of them is cut in cutover-crash.test.ts.
    for (let dieAt = 2; ; dieAt += 11) {
      const complete = guest.files;
      await guest.writes();
      const step = await world.killedAt(dieAt, () => world.cutOver({ commit: true }));
      if (step === undefined) break;
      cuts += 1;
      const found = await filesOf(await lastGeneration(world), `cut at ${step}`);
      assert.ok(found >= complete && found <= guest.files, `cut at ${step}: ${found} of ${complete}`);
      if (cuts % 2 === 0 && !(await isFinal(world))) await world.takeBack();
      else await world.finish();
      if (world.clone.disks) assert.equal(await filesOf(world.clone.disks[0]!, step), guest.files);
      if (await isFinal(world)) await world.forgetCutover();
      else await world.cycle();
    }
    console.log(`# a file system went through ${cuts} cuts of its cutover`);
    assert.ok(cuts >= 10, `${cuts} cuts`);
  },
);
