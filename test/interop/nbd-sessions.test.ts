/** Our NBD server under sessions nobody would hold, and our client over servers that fail now and then. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hasCode } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { NbdDisk, NbdServer } from '../../src/nbd/index.ts';
import { DEBIAN_PYTHON, requires, requiresPython } from '../requires.ts';

const run = promisify(execFile);
const MiB = 2 ** 20;
const SCRIPT = fileURLToPath(new URL('./nbd-sessions.py', import.meta.url));
let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'hvlift-nbd-'))));
after(() => rm(folder, { recursive: true, force: true }));

test(
  'options in any order and requests with any flags: libnbd finds every answer right',
  requiresPython(['nbd'], 'our NBD server under sessions of libnbd at random'),
  async () => {
    const path = join(folder, 'own.sock');
    const names = ['disk 0', 'Platte ß'];
    const size = MiB + 513;
    const disks = names.map((name) => [name, new MemoryDisk(size)] as const);
    await using _server = await NbdServer.listen(
      { kind: 'unix', path },
      { exports: new Map(disks.map(([name, disk]) => [name, { disk, writer: disk }])) },
    );
    const seed = String(randomInt(2 ** 31));
    const { stdout } = await run(DEBIAN_PYTHON, [SCRIPT, path, String(size), seed, '150', ...names]);
    const tally = JSON.parse(stdout.replaceAll("'", '"')) as Record<string, number>;
    for (const what of ['went', 'refused', 'requests', 'rejected'])
      assert.ok(tally[what]! > 10, `seed ${seed}: ${stdout}`);
  },
);

const NBDKIT = requires(['nbdkit'], 'our NBD client against failures of nbdkit');

/** nbdkit in memory with filters; ends with what holds it. */
async function nbdkit(name: string, filters: readonly string[], args: readonly string[]) {
  const socket = join(folder, `${name}.sock`);
  const child = spawn(
    'nbdkit',
    ['-f', '-U', socket, ...filters.map((each) => `--filter=${each}`), 'memory', '4M', ...args],
    { stdio: 'ignore' },
  );
  while (!existsSync(socket)) {
    assert.equal(child.exitCode, null, 'nbdkit does not serve');
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    address: `nbd+unix:///?socket=${socket}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

test(
  'a server that fails one request in five: what succeeded is right, what failed says so, and no other suffers',
  NBDKIT,
  async () => {
    const rates = ['pread', 'pwrite', 'zero'].flatMap((what) => [
      `error-${what}=EIO`,
      `error-${what}-rate=20%`,
    ]);
    await using server = await nbdkit('fails', ['error'], rates);
    const disk = await NbdDisk.open(server.address);
    const [written, tally] = [new Map<number, Buffer>(), { fine: 0, failed: 0 }];
    const attempt = async (work: Promise<void>): Promise<boolean> => {
      try {
        await work;
        tally.fine += 1;
        return true;
      } catch (error) {
        assert.ok(hasCode(error, 'NBD_IO_FAILED'), String(error));
        tally.failed += 1;
        return false;
      }
    };
    const places = Array.from({ length: 128 }, (_, i) => i * 32_768);
    await Promise.all(
      places.map(async (at, i) => {
        const bytes = i % 3 === 0 ? Buffer.alloc(32_768) : randomBytes(32_768);
        const work = i % 3 === 0 ? disk.zero(at, bytes.length) : disk.write(at, bytes);
        if (await attempt(work)) written.set(at, bytes);
      }),
    );
    await Promise.all(
      [...written].map(async ([at, expected]) => {
        const bytes = Buffer.alloc(expected.length, 0xee);
        if (await attempt(disk.read(at, bytes))) assert.ok(bytes.equals(expected), `${at}`);
      }),
    );
    assert.ok(tally.fine > 60 && tally.failed > 5, JSON.stringify(tally));
    await disk.close();
  },
);

test(
  'delayed answers and blocks of 4 KiB enforced, both at once: every edge is read first, and right',
  NBDKIT,
  async () => {
    const policy = ['blocksize-minimum=4096', 'blocksize-maximum=64K', 'blocksize-error-policy=error'];
    const delays = ['rdelay=2ms', 'wdelay=5ms', 'delay-zero=1ms'];
    await using server = await nbdkit('edges', ['blocksize-policy', 'delay'], [...policy, ...delays]);
    const [disk, model] = [await NbdDisk.open(server.address), new MemoryDisk(4 * MiB)];
    // Neighbours within one block, at once: each reads the block, changes its part and writes it back.
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(
        Array.from({ length: 24 }, async (_, i) => {
          const bytes = randomBytes(1000);
          const at = round * MiB + i * 1000;
          await Promise.all([disk.write(at, bytes), model.write(at, bytes)]);
        }),
      );
    }
    await disk.flush();
    const [got, expected] = [Buffer.alloc(4 * MiB), Buffer.alloc(4 * MiB)];
    await Promise.all([disk.read(0, got), model.read(0, expected)]);
    assert.ok(got.equals(expected));
    await disk.close();
  },
);
