/** A restore point as compressed images, as a package and as a stream, from the settings that a backup stores. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode, MiB, newGuid } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { createRepository, type Repository, type RestorePoint } from '../repository/index.ts';
import { requires } from '../../test/requires.ts';
import { ovaMachine } from './ova-machine.ts';
import { restorePoint, streamPoint, type PipeFormat, type RestoreFormat } from './index.ts';

const withTools = requires(['qemu-img', 'tar'], 'QEMU and tar read what a restore point left as');
const SETTINGS = {
  name: 'web01',
  processors: 2,
  memory: { startupMiB: 1026, dynamic: true, minimumMiB: 512, maximumMiB: 4096 },
  networkAdapters: [{ name: 'LAN', macAddress: '00155D010203', staticMacAddress: false }],
  firmware: { bootOrder: [], secureBoot: true },
};

interface World extends AsyncDisposable {
  readonly repository: Repository;
  readonly point: RestorePoint;
  /** In the order of the point's disks. */
  readonly contents: readonly Buffer[];
  readonly folder: string;
}

async function contentOf(seed: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk(5 * MiB + seed * 512);
  await disk.write(seed * MiB, Buffer.alloc(MiB, `disk ${seed} `));
  await disk.write(disk.size - 512, Buffer.alloc(512, seed));
  return disk;
}

/** A VM with a data disk that is named first and a system disk on the first place of its first controller. */
async function openWorld(options: { sectorSize?: number } = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-export-'));
  const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
  await using session = await repository.startSession({ workers: 0 });
  const disks = [];
  const contents: Buffer[] = [];
  for (const [i, kind] of (['scsi', 'ide'] as const).entries()) {
    const reader = await contentOf(i + 1);
    const content = Buffer.alloc(reader.size);
    await reader.read(0, content);
    contents.push(content);
    const extents = [{ offset: 0, length: reader.size }];
    const { root } = await session.ingestDisk({ reader, extents, size: reader.size });
    disks.push({
      diskId: newGuid(),
      attachment: { controller: { kind, number: 0 }, slot: 0 },
      path: `C:\\VMs\\${kind}.vhdx`,
      size: reader.size,
      logicalSectorSize: options.sectorSize ?? 512,
      physicalSectorSize: 4096,
      root,
      kind: 'full' as const,
      reason: 'first-backup',
    });
  }
  const point = await session.commit({
    runId: newGuid(),
    vm: {
      id: newGuid(),
      name: 'web01',
      host: 'host',
      generation: 2,
      configuration: await session.putBlob(Buffer.from(JSON.stringify(SETTINGS))),
    },
    consistency: { asked: 'crash', reached: 'crash' },
    disks,
  });
  const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return { repository, point, contents, folder, [Symbol.asyncDispose]: dispose };
}

function asRaw(format: string, path: string): Buffer {
  execFileSync('qemu-img', ['convert', '-f', format, '-O', 'raw', path, `${path}.raw`]);
  return readFileSync(`${path}.raw`);
}

async function piped(
  { repository, point }: World,
  format: PipeFormat,
  disks?: readonly string[],
): Promise<Buffer> {
  return Buffer.concat(
    await Array.fromAsync(streamPoint(repository, { point, format, ...(disks ? { disks } : {}) })),
  );
}

const IMAGES: Partial<Record<RestoreFormat, { extension: string; qemu: string; files: number }>> = {
  vmdk: { extension: 'vmdk', qemu: 'vmdk', files: 3 },
  'vmdk-flat': { extension: 'vmdk', qemu: 'vmdk', files: 5 },
  'vmdk-stream': { extension: 'vmdk', qemu: 'vmdk', files: 3 },
  'qcow2-zstd': { extension: 'qcow2', qemu: 'qcow2', files: 3 },
};

for (const [format, { extension, qemu, files }] of Object.entries(IMAGES)) {
  test(
    `${format}: each disk of a restore point is an image that QEMU reads, and is refused twice`,
    { ...withTools },
    async () => {
      await using world = await openWorld();
      const { repository, point, contents, folder } = world;
      const request = { point, folder, format: format as RestoreFormat };
      const { disks } = await restorePoint(repository, request);
      assert.equal((await readdir(folder)).length, files);
      for (const [i, { path, writtenBytes }] of disks.entries()) {
        assert.ok(path.endsWith(`.${extension}`) && writtenBytes > 0);
        assert.ok(asRaw(qemu, path).equals(contents[i]!), path);
      }
      await assert.rejects(restorePoint(repository, request), (error) => hasCode(error, 'IMAGE_EXISTS'));
    },
  );
}

test('a package holds the VM and its disks, that on IDE first', { ...withTools }, async () => {
  await using world = await openWorld();
  const { repository, point, contents, folder } = world;
  const { disks } = await restorePoint(repository, { point, folder, format: 'ova' });
  assert.deepEqual((await readdir(folder)).sort(), ['vm.json', 'web01.ova']);
  assert.deepEqual(
    disks.map(({ diskId }) => diskId),
    point.disks.map(({ diskId }) => diskId).toReversed(),
  );
  execFileSync('tar', ['xf', join(folder, 'web01.ova'), '-C', folder]);
  assert.ok(asRaw('vmdk', join(folder, 'web01-disk1.vmdk')).equals(contents[1]!));
  assert.ok(asRaw('vmdk', join(folder, 'web01-disk2.vmdk')).equals(contents[0]!));
  const envelope = readFileSync(join(folder, 'web01.ovf'), 'utf8');
  for (const text of [
    'vmw:value="efi"',
    '>1028<',
    '>00:15:5d:01:02:03<',
    point.id,
    'from 512 to 4096 MiB',
    'TPM',
  ]) {
    assert.ok(envelope.includes(text), text);
  }
});

test(
  'one disk goes down a pipe as raw bytes or as a VMDK, all of them as a package',
  { ...withTools },
  async () => {
    await using world = await openWorld();
    const { contents, folder } = world;
    assert.ok((await piped(world, 'raw', ['2'])).equals(contents[1]!));
    const vmdk = join(folder, 'piped.vmdk');
    await writeFile(vmdk, await piped(world, 'vmdk-stream', ['scsi.vhdx']));
    assert.ok(asRaw('vmdk', vmdk).equals(contents[0]!));
    const ova = await piped(world, 'ova');
    const listed = execFileSync('tar', ['t'], { input: ova, encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual(listed, ['web01.ovf', 'web01.mf', 'web01-disk1.vmdk', 'web01-disk2.vmdk']);
    await assert.rejects(piped(world, 'raw'), (error) => hasCode(error, 'FLOW_ONE_DISK_ONLY'));
    await assert.rejects(piped(world, 'ova', ['7']), (error) => hasCode(error, 'FLOW_NO_SUCH_DISK'));
  },
);

test('a disk that the format cannot hold is found before the first is read', async () => {
  await using world = await openWorld({ sectorSize: 4096 });
  const { repository, point, folder } = world;
  const into = join(folder, 'new');
  for (const format of ['vmdk', 'vmdk-stream', 'ova', 'vhd'] as const) {
    await assert.rejects(restorePoint(repository, { point, folder: into, format }), (error) =>
      hasCode(error, 'IMAGE_SECTOR_SIZE_REFUSED'),
    );
  }
  assert.deepEqual(await readdir(folder), []);
});

test('a reader that goes away in the middle leaves nothing running', async () => {
  await using world = await openWorld();
  for await (const bytes of streamPoint(world.repository, { point: world.point, format: 'ova' })) {
    assert.ok(bytes.length > 0);
    break;
  }
  const stopped = AbortSignal.abort(new Error('stopped'));
  const request = { point: world.point, format: 'raw', disks: ['1'], signal: stopped } as const;
  await assert.rejects(Array.fromAsync(streamPoint(world.repository, request)), /stopped/);
});

test('settings that are lost or old give a VM that can start, and say what was guessed', async () => {
  await using world = await openWorld();
  const { point } = world;
  const machine = ovaMachine(
    { ...point, vm: { ...point.vm, generation: undefined } },
    {},
    point.disks.slice(1),
  );
  const { notes, ...rest } = machine;
  assert.deepEqual(rest, {
    name: 'web01',
    firmware: 'bios',
    secureBoot: false,
    processors: 1,
    memoryMiB: 2048,
    networkAdapters: [],
  });
  assert.match(notes.join('\n'), /guesses[^]*not in the package: C:\\VMs\\scsi\.vhdx\.$/);
});
