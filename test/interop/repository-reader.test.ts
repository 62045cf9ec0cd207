/** A second reader, in Python and written from docs/formats/repository.md, against what went into repositories. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { KiB, MiB } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { normalise, type Extent } from '../../src/extents/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import {
  createRepository,
  type MapRoot,
  type Repository,
  type RestorePoint,
} from '../../src/repository/index.ts';
import { DEBIAN_PYTHON, requiresPython } from '../requires.ts';

const UNPROVED = 'that docs/formats/repository.md is enough to restore without hvlift';
const needsReader = requiresPython(['cryptography', 'zstandard'], UNPROVED);
const reader = fileURLToPath(new URL('../../tools/read_repository.py', import.meta.url));
const golden = fileURLToPath(new URL('../../fixtures/repository-v1', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'hvlift-second-reader-'));
const image = join(folder, 'image');
const DISK_ID = 'c3c3c3c3-0000-4000-8000-000000000003';

after(() => rmSync(folder, { recursive: true, force: true }));

interface Secret {
  readonly passphrase?: string | undefined;
  readonly recoveryKey?: string | undefined;
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(secret: Secret, ...args: string[]): Ended {
  return runScript(reader, secret, ...args);
}

function runScript(script: string, { passphrase, recoveryKey }: Secret, ...args: string[]): Ended {
  const env = {
    PATH: process.env['PATH'],
    ...(passphrase === undefined ? {} : { HVLIFT_PASSPHRASE: passphrase }),
    ...(recoveryKey === undefined ? {} : { HVLIFT_RECOVERY_KEY: recoveryKey }),
  };
  return spawnSync(DEBIAN_PYTHON, [script, ...args], { env, encoding: 'utf8', maxBuffer: 16 * MiB });
}

/** The disk as the second reader restores it. */
function restored(path: string, secret: Secret, point: string, disk = DISK_ID, places = 'index'): Buffer {
  const { status, stderr } = run(secret, path, 'restore', point, disk, image, '--places', places);
  assert.equal(status, 0, stderr);
  return readFileSync(image);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface GoldenPoint {
  readonly id: string;
  readonly vm: { readonly name: string };
  readonly disks: readonly { readonly diskId: string; readonly size: number; readonly sha256: string }[];
}

const expected = JSON.parse(readFileSync(join(golden, 'expected.json'), 'utf8')) as {
  passphrase: string;
  encrypted: { recoveryKey: string; points: GoldenPoint[] };
  plain: { points: GoldenPoint[] };
};

for (const [name, secret] of [
  ['encrypted', { recoveryKey: expected.encrypted.recoveryKey }],
  ['plain', {}],
] as const) {
  const path = join(golden, name);

  test(`${name}: the second reader restores the disks of the golden repository exactly`, needsReader, () => {
    // What differs without encryption differs in every object: one point shows it.
    const points = name === 'plain' ? expected.plain.points.slice(1, 2) : expected.encrypted.points;
    for (const { id, disks } of points) {
      for (const { diskId, size, sha256: digest } of disks) {
        const bytes = restored(path, secret, id, diskId);
        assert.equal(bytes.length, size);
        assert.equal(sha256(bytes), digest);
      }
    }
  });

  test(`${name}: it does so without the index, by trailers and by walking through packs`, needsReader, () => {
    const { id, disks } = expected[name].points[2]!;
    const { diskId, sha256: digest } = disks[1]!;
    for (const places of ['trailers', 'walk']) {
      const bytes = restored(path, secret, id, diskId, places);
      assert.equal(sha256(bytes), digest, places);
    }
  });
}

test('the second reader lists the points, by passphrase as by recovery key', needsReader, () => {
  const { passphrase, encrypted } = expected;
  for (const secret of [
    { passphrase: passphrase.normalize('NFD') },
    { recoveryKey: encrypted.recoveryKey.toLowerCase() },
  ]) {
    const { status, stdout, stderr } = run(secret, join(golden, 'encrypted'), 'points', '--json');
    assert.equal(status, 0, stderr);
    const points = JSON.parse(stdout) as GoldenPoint[];
    const found = points.map((point) => `${point.id} ${point.vm.name}`);
    assert.deepEqual(
      new Set(found),
      new Set(encrypted.points.map((point) => `${point.id} ${point.vm.name}`)),
    );
  }
});

test(
  'the second reader refuses a wrong secret, a missing one, and one that is not asked for',
  needsReader,
  () => {
    for (const [name, secret] of [
      ['encrypted', { passphrase: 'wrong' }],
      ['encrypted', {}],
      ['plain', { passphrase: expected.passphrase }],
    ] as const) {
      const { status, stderr } = run(secret, join(golden, name), 'points');
      assert.equal(status, 2, stderr);
      assert.match(stderr, /^refused/);
    }
  },
);

test(
  'a disk is found by number, id or file name, and the latest point by the name of its VM',
  needsReader,
  () => {
    const path = join(golden, 'encrypted');
    const secret = { recoveryKey: expected.encrypted.recoveryKey };
    const { id, vm, disks } = expected.encrypted.points[2]!;
    for (const disk of ['2', disks[1]!.diskId.toUpperCase(), 'DISK1.vhdx'])
      assert.equal(sha256(restored(path, secret, id.slice(0, 6), disk, 'auto')), disks[1]!.sha256, disk);
    assert.equal(sha256(restored(path, secret, vm.name, '2', 'auto')), disks[1]!.sha256);
    for (const [point, disk] of [
      ['ffff', '1'],
      [id, '3'],
    ] as const) {
      const { status, stderr } = run(secret, path, 'restore', point, disk, image);
      assert.equal(status, 2, stderr);
    }
  },
);

test('without index, and with a torn pack, the rest is restored; what is lost is named', needsReader, () => {
  const path = join(folder, 'torn');
  cpSync(join(golden, 'plain'), path, { recursive: true });
  rmSync(join(path, 'index'), { recursive: true });
  const { id, disks } = expected.plain.points[1]!;
  assert.equal(sha256(restored(path, {}, id, disks[1]!.diskId, 'auto')), disks[1]!.sha256);
  const packs = filesBelow(join(path, 'packs')).map((name) => join(path, 'packs', name));
  for (const pack of packs) writeFileSync(pack, readFileSync(pack).subarray(0, -40)); // no footer any more
  assert.equal(sha256(restored(path, {}, id, disks[1]!.diskId, 'auto')), disks[1]!.sha256);
  const largest = packs.toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!;
  writeFileSync(largest, readFileSync(largest).subarray(0, 3000));
  const verified = run({}, path, 'verify');
  assert.equal(verified.status, 1);
  assert.match(verified.stderr, /disk \d: up to \d+ bytes cannot be restored/);
  rmSync(image, { force: true });
  const statuses = expected.plain.points.flatMap((point) =>
    point.disks.map(({ diskId, sha256: digest }) => {
      const { status } = run({}, path, 'restore', point.id, diskId, image);
      if (status === 0) assert.equal(sha256(readFileSync(image)), digest);
      else assert.ok(!existsSync(image), 'an image that is not complete has no name');
      rmSync(image, { force: true });
      return status;
    }),
  );
  assert.ok(statuses.includes(0) && statuses.includes(1));
});

test('the second reader verifies the golden repositories', needsReader, () => {
  for (const [name, secret] of [
    ['encrypted', { recoveryKey: expected.encrypted.recoveryKey }],
    ['plain', {}],
  ] as const) {
    const { status, stdout, stderr } = run(secret, join(golden, name), 'verify');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^4 restore points, \d+ objects, 0 problems\n$/);
  }
});

/** Cells, so that patched slots of every form occur; some writes leave the grid. */
const anyWrite = fc.record(
  {
    offset: fc.oneof(
      fc.nat({ max: 79 }).map((cell) => cell * 64 * KiB),
      fc.nat({ max: 5 * MiB }),
    ),
    length: fc.oneof(
      fc.integer({ min: 1, max: 13 }).map((cells) => cells * 64 * KiB),
      fc.integer({ min: 1, max: 100_000 }),
    ),
    seed: fc.nat({ max: 5 }),
  },
  { noNullPrototype: true },
);
const anyGeneration = fc.record(
  { size: fc.integer({ min: 1, max: 5 * MiB }), writes: fc.array(anyWrite, { maxLength: 6 }) },
  { noNullPrototype: true },
);

/** Seed 0 is zeros; 1 does not compress. */
function contentOf(seed: number, length: number): Buffer {
  if (seed === 0) return Buffer.alloc(length);
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, part) =>
    createHash('sha256')
      .update(`${seed} ${seed === 1 ? part : part >>> 6}`)
      .digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

async function resized(disk: MemoryDisk, size: number): Promise<MemoryDisk> {
  const copy = new MemoryDisk(size);
  const bytes = Buffer.alloc(Math.min(disk.size, size));
  await disk.read(0, bytes);
  await copy.write(0, bytes);
  return copy;
}

async function write(
  disk: MemoryDisk,
  { offset, length, seed }: { offset: number; length: number; seed: number },
) {
  const extent = { offset: Math.min(offset, disk.size - 1), length: 0 };
  extent.length = Math.min(length, disk.size - extent.offset);
  await disk.write(extent.offset, contentOf(seed, extent.length));
  return extent;
}

async function backUp(
  repository: Repository,
  disk: MemoryDisk,
  extents: Extent[],
  base: MapRoot | undefined,
): Promise<RestorePoint> {
  await using session = await repository.startSession({ workers: 0 });
  const { size } = disk;
  const { root } = await session.ingestDisk({ reader: disk, extents, size, ...(base ? { base } : {}) });
  const vm = {
    id: DISK_ID,
    name: 'web \ud83d\ude80',
    host: 'H',
    configuration: await session.putBlob(Buffer.from('{}')),
  };
  const sectors = { logicalSectorSize: 512, physicalSectorSize: 512 };
  const disks = [
    {
      diskId: DISK_ID,
      attachment: {},
      path: 'C:\\d.vhdx',
      size,
      ...sectors,
      root,
      kind: 'full',
      reason: 'test',
    } as const,
  ];
  return await session.commit({ runId: 'r', vm, consistency: { asked: 'crash', reached: 'crash' }, disks });
}

test(
  'the reader that lies in a new repository and our own agree with the disk, after any generations of writes, trims and resizes',
  needsReader,
  async () => {
    let made = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyGeneration, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (generations, encrypted) => {
          const path = join(folder, `repository-${(made += 1)}`);
          const store = await openDirectoryStore(path, { create: true });
          const encryption = encrypted ? { passphrase: 'p' } : 'none';
          const { repository, recoveryKey } = await createRepository(store, { encryption });
          let disk = new MemoryDisk(generations[0]!.size);
          let base: MapRoot | undefined;
          for (const { size, writes } of generations) {
            if (size !== disk.size) disk = await resized(disk, size);
            const extents: Extent[] = [];
            for (const each of writes) extents.push(await write(disk, each));
            const point = await backUp(repository, disk, normalise(extents), base);
            base = point.disks[0]!.root;
            const content = Buffer.alloc(size);
            await disk.read(0, content);
            const script = join(path, 'about', 'read_repository.py');
            const { status, stderr } = runScript(
              script,
              { recoveryKey },
              path,
              'restore',
              point.id,
              '1',
              image,
            );
            assert.equal(status, 0, stderr);
            assert.ok(readFileSync(image).equals(content));
            const again = Buffer.alloc(size);
            await repository.openDisk(base, size).read(0, again);
            assert.ok(again.equals(content));
          }
        },
      ),
      { numRuns: 4 },
    );
  },
);

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(path, name)).isFile())
    .sort();
}

test('the second reader refuses a changed byte of any file it needs', needsReader, async () => {
  const path = join(folder, 'sound');
  const store = await openDirectoryStore(path, { create: true });
  const { repository, recoveryKey } = await createRepository(store, { encryption: { passphrase: 'p' } });
  const disk = new MemoryDisk(2 * MiB);
  await disk.write(100_000, contentOf(2, 200_000));
  const { id } = await backUp(repository, disk, [{ offset: 0, length: disk.size }], undefined);
  const damaged = join(folder, 'damaged');
  for (const name of filesBelow(path)) {
    const unneeded =
      name.startsWith('about') || readFileSync(join(path, name)).includes('"kind":"passphrase"');
    if (unneeded) continue;
    cpSync(path, damaged, { recursive: true });
    const places = name.startsWith('packs') ? 'trailers' : 'index'; // by trailers every byte of a pack is read
    const sound = readFileSync(join(path, name));
    for (const share of [0, 0.5, 0.999]) {
      const at = Math.floor(share * sound.length);
      writeFileSync(join(damaged, name), sound.with(at, sound[at]! ^ 0x10));
      const { status, stderr } = run(
        { recoveryKey },
        damaged,
        'restore',
        id,
        DISK_ID,
        image,
        '--places',
        places,
      );
      assert.equal(status, 1, `byte ${at} of ${name}: ${stderr}`);
      assert.match(stderr, /^damaged: /, `byte ${at} of ${name}`);
    }
    rmSync(damaged, { recursive: true });
  }
});
