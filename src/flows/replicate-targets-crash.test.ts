/**
 * Every kind of target, killed at every step of a cycle and at every write: what is found there afterwards is one generation of
 * the VM to the byte, and its file system is sound.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { requires } from '../../test/requires.ts';
import { MiB } from '../base/index.ts';
import { openTarget, type Target } from '../targets/index.ts';
import { fated, ReplicaWorld } from './replica-world.fixture.ts';
import { Fate } from './replicate-world.fixture.ts';

const run = promisify(execFile);
const SIZE = 4 * MiB;
const BLOCK = 4096;
const UNPROVED = 'what file systems a killed cycle leaves on each kind of target';
const needs = requires(['mke2fs', 'e2fsck', 'qemu-img', 'qemu-nbd'], UNPROVED);

let folder: string;
/** The disk of the VM at one moment after the other: file systems with other files each. */
const moments: Buffer[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hvlift-replica-targets-'));
  if (needs.skip) return;
  for (let moment = 0; moment < 3; moment += 1) {
    const [files, image] = [join(folder, `files-${moment}`), join(folder, `moment-${moment}`)];
    await mkdir(files);
    for (let file = 0; file <= moment; file += 1)
      await writeFile(join(files, `file-${file}`), randomBytes(50_000));
    const same = ['-U', '0d9a4e57-8f1c-4b34-a6b2-6f0a0c5b7e01', '-O', '^has_journal'];
    await run('mke2fs', ['-q', '-t', 'ext4', ...same, '-d', files, image, `${SIZE / 1024}k`]);
    moments.push(await readFile(image));
  }
});
after(() => rm(folder, { recursive: true }));

interface Place {
  readonly target: Target;
  /** What is lost with the process, and with the server of the target. */
  lose(cut: number): Promise<void>;
  /** The disk as an image that QEMU reads, and its format. */
  readonly image: readonly [path: string, format: string];
  close(): Promise<void>;
}

const PLACES: Readonly<Record<string, (at: string, fate: Fate) => Promise<Place>>> = {
  'raw images': async (at) => {
    const target = openTarget(`dir:${at}`);
    const image = [join(at, 'web01-disk1.raw'), 'raw'] as const;
    return { target, image, lose: async () => {}, close: async () => {} };
  },
  'VHDX images': async (at, fate) => {
    const path = join(at, 'web01-disk1.vhdx');
    let died = false;
    // Closing tidies up a VHDX; whoever is killed does not close.
    fate.onDeath = () => {
      copyFileSync(path, `${at}.died`);
      died = true;
    };
    const lose = async (): Promise<void> => {
      if (died && !(await readFile(path)).equals(await readFile(`${at}.died`)))
        copyFileSync(`${at}.died`, path);
      died = false;
    };
    const target = openTarget(`dir:${at}?format=vhdx`);
    return { target, image: [path, 'vhdx'], lose, close: async () => {} };
  },
  'qcow2 behind qemu-nbd': async (at) => {
    await mkdir(at);
    const [path, socket] = [join(at, 'disk.qcow2'), join(at, 'nbd.sock')];
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(SIZE)]);
    let stop = await serve(path, socket);
    const lose = async (cut: number): Promise<void> => {
      if (cut % 2 === 0) return;
      // The server too, with what it had in memory.
      await stop('SIGKILL');
      stop = await serve(path, socket);
    };
    const target = openTarget(`nbd+unix:///?socket=${socket}`);
    return { target, image: [path, 'qcow2'], lose, close: () => stop('SIGTERM') };
  },
};

async function serve(path: string, socket: string): Promise<(signal: NodeJS.Signals) => Promise<void>> {
  await rm(socket, { force: true });
  const argv = ['-t', '-f', 'qcow2', '-e', '8', '-k', socket, '--discard=unmap', path];
  const server = spawn('qemu-nbd', argv, { stdio: 'ignore' });
  while (!(await stat(socket).catch(() => undefined)) && server.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 10));
  return async (signal) => {
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  };
}

for (const [name, open] of Object.entries(PLACES))
  test(
    `${name}: killed at every step and write, a generation is there whole, its file system sound, and the next is a delta`,
    needs,
    async (t) => {
      const at = join(folder, name.replaceAll(' ', '-'));
      const fate = new Fate();
      const place = await open(at, fate);
      const world = new ReplicaWorld({
        stateFolder: `${at}-state`,
        sizes: [SIZE],
        fate,
        target: () => fated(place.target, fate),
        lose: (_target, cut) => place.lose(cut),
      });
      try {
        const { cuts, steps } = await cutEverywhere(world, () => sound(place.image, `${at}.fsck`));
        t.diagnostic(`cut at ${cuts} steps`);
        for (const step of ['open', 'write', 'flush', 'after save']) assert.ok(steps.has(step), step);
      } finally {
        await place.close();
      }
    },
  );

async function cutEverywhere(
  world: ReplicaWorld<Target>,
  check: () => Promise<void>,
): Promise<{ cuts: number; steps: Set<string> }> {
  const steps = new Set<string>();
  let moment = 0;
  const goOn = (): Promise<void> => become(world, moments[(moment += 1) % moments.length]!);
  await goOn();
  await world.cycle();
  for (let dieAt = 0; ; dieAt += 1) {
    await goOn();
    const step = await world.killedAt(dieAt, () => world.cycle());
    const state = await world.settled();
    await world.assertIs(state);
    await check();
    if (step === undefined) return { cuts: dieAt, steps };
    steps.add(step);
    await goOn();
    const next = await world.cycle();
    assert.deepEqual([next.disks[0]!.kind, next.generation], ['delta', state.generation!.number + 1], step);
    await world.assertIs(await world.settled());
  }
}

/** The guest writes what makes its disk the other image. */
async function become({ vm }: ReplicaWorld<Target>, image: Buffer): Promise<void> {
  const now = Buffer.alloc(SIZE);
  await vm.disks[0]!.disk.read(0, now);
  for (let at = 0; at < SIZE; at += BLOCK)
    if (image.compare(now, at, at + BLOCK, at, at + BLOCK) !== 0)
      await vm.write(0, at, image.subarray(at, at + BLOCK));
}

/** As another program sees it. */
async function sound([path, format]: Place['image'], raw: string): Promise<void> {
  if (format !== 'raw') await run('qemu-img', ['convert', '-U', '-f', format, '-O', 'raw', path, raw]);
  await run('e2fsck', ['-f', '-n', format === 'raw' ? path : raw]);
}
