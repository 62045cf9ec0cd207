/** What holds for an image of any format: its names, its end, what happens to files that are there. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { hasCode, MiB, TiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { requires } from '../../test/requires.ts';
import {
  createImage,
  filesOfImage,
  imageFormats,
  writeCompressedImage,
  type ImageFormat,
  type ImageWriter,
} from './index.ts';

const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
const withQemu = requires(['qemu-img'], 'QEMU reads what was written');
const withLimits = requires(['bash'], 'a file system whose files end before the disk does');
const formats = Object.keys(imageFormats) as ImageFormat[];
const size = 8 * MiB;
/** What QEMU calls a format. */
const qemuNames: Partial<Record<ImageFormat, string>> = {
  'vhdx-fixed': 'vhdx',
  vhd: 'vpc',
  'vhd-fixed': 'vpc',
  'vmdk-flat': 'vmdk',
};
/** The file that bytes are written into. */
const dataFile = (format: ImageFormat, path: string): string => filesOfImage(format, path).at(-1)!;
const withCode = (code: string) => (error: unknown) => hasCode(error, code);

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-images-'));
  folders.push(folder);
  return folder;
}

async function write(image: ImageWriter, offset: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(image.path, 'r+');
  let done = 0;
  for (const span of await image.place(offset, bytes.length)) {
    await file.write(bytes, done, span.length, span.fileOffset);
    done += span.length;
  }
}

for (const format of formats) {
  test(`${format}: QEMU reads back what was written, zeros elsewhere`, { ...withQemu }, async () => {
    const path = join(newFolder(), 'disk');
    const image = await createImage(format, path, { size });
    const content = Buffer.alloc(size);
    for (const offset of [512, 3 * MiB, size - 4096]) {
      content.fill(`at ${offset} `, offset, offset + 4096);
      await write(image, offset, content.subarray(offset, offset + 4096));
    }
    await image.finish();
    const convert = spawnSync('qemu-img', [
      'convert',
      '-f',
      qemuNames[format] ?? format,
      '-O',
      'raw',
      path,
      `${path}.raw`,
    ]);
    assert.equal(convert.status, 0, String(convert.stderr));
    assert.ok(readFileSync(`${path}.raw`).equals(content));
  });

  test(`${format}: the name appears when the image is finished, the partial name goes`, async () => {
    const path = join(newFolder(), 'disk');
    const image = await createImage(format, path, { size });
    assert.equal(image.finalPath, path);
    assert.equal(image.path, `${dataFile(format, path)}.partial`);
    await write(image, 0, Buffer.alloc(MiB, 1));
    assert.ok(!existsSync(path));
    await image.finish();
    assert.ok(existsSync(path) && !existsSync(image.path));
    await image.abort();
    assert.ok(existsSync(path), 'abort after finish takes nothing away');
  });

  test(`${format}: abort leaves nothing, at once or twice`, async () => {
    const path = join(newFolder(), 'disk');
    const image = await createImage(format, path, { size });
    await write(image, 0, Buffer.alloc(MiB, 1));
    await image.abort();
    await image.abort();
    assert.ok(!existsSync(path) && !existsSync(image.path));
  });

  test(`${format}: a file of the name is kept, unless it is empty or to be overwritten`, async () => {
    const path = join(newFolder(), 'disk');
    writeFileSync(path, 'precious');
    await assert.rejects(createImage(format, path, { size }), withCode('IMAGE_EXISTS'));
    assert.equal(readFileSync(path, 'utf8'), 'precious');
    const replacing = await createImage(format, path, { size, overwrite: true });
    assert.equal(readFileSync(path, 'utf8'), 'precious', 'kept until the new image is complete');
    await replacing.finish();
    assert.notEqual(statSync(path).size, 8);
    filesOfImage(format, path).forEach((file) => writeFileSync(file, ''));
    await (await createImage(format, path, { size })).finish();
    assert.ok(statSync(path).size > 0);
  });

  test(`${format}: a file that appears during the run is kept`, async () => {
    const path = join(newFolder(), 'disk');
    const image = await createImage(format, path, { size });
    writeFileSync(path, 'precious');
    await assert.rejects(image.finish(), withCode('IMAGE_EXISTS'));
    await image.abort();
    assert.equal(readFileSync(path, 'utf8'), 'precious');
    assert.ok(!existsSync(image.path));
  });

  test(`${format}: a killed run leaves a partial file, which is no image and is not taken over`, async () => {
    const path = join(newFolder(), 'disk');
    await killedWriter(format, path);
    assert.ok(!existsSync(path) && existsSync(`${path}.partial`));
    await assert.rejects(createImage(format, path, { size }), withCode('IMAGE_UNFINISHED'));
    const again = await createImage(format, path, { size, overwrite: true });
    await again.finish();
    assert.ok(existsSync(path) && !existsSync(again.path));
  });

  test(`${format}: what is no regular file or has no folder is refused`, async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'folder'));
    symlinkSync('/nowhere', join(folder, 'link'));
    for (const name of ['folder', 'link']) {
      await assert.rejects(
        createImage(format, join(folder, name), { size, overwrite: true }),
        withCode('IMAGE_NOT_A_FILE'),
      );
    }
    await assert.rejects(
      createImage(format, join(folder, 'a', 'b'), { size }),
      withCode('IMAGE_FOLDER_MISSING'),
    );
  });

  test(`${format}: a size the format cannot have is refused before a file exists`, async () => {
    const path = join(newFolder(), 'disk');
    for (const wrong of [0, -512, 1.5, Number.NaN, 2 ** 53]) {
      await assert.rejects(
        createImage(format, path, { size: wrong }),
        withCode('IMAGE_SIZE_REFUSED'),
        `${wrong}`,
      );
    }
    assert.ok(!existsSync(path) && !existsSync(`${path}.partial`));
  });
}

for (const format of ['vhdx', 'qcow2', 'vhd'] as const) {
  test(`${format}: a volume that is full at the end fails the image, and abort gives the room back`, async (t) => {
    const folder = smallVolume(t, `a ${format} image on a full volume`);
    if (folder === undefined) return;
    const image = await createImage(format, join(folder, 'disk'), { size: TiB });
    await write(image, 0, Buffer.alloc(4096, 1));
    assert.throws(() => writeFileSync(join(folder, 'filler'), Buffer.alloc(16 * MiB)), /ENOSPC/);
    await assert.rejects(image.finish(), withCode('DISK_NO_SPACE'));
    await image.abort();
    assert.deepEqual(readdirSync(folder), ['filler']);
  });
}

test('a raw disk longer than files can be is refused, and nothing is left', { ...withLimits }, () => {
  const path = join(newFolder(), 'disk');
  const script = `
    const { createImage } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    await createImage('raw', ${JSON.stringify(path)}, { size: 2 ** 40 }).catch((error) => console.log(error.code));`;
  const limited = spawnSync('bash', ['-c', 'ulimit -f 1024; exec "$@"', 'bash', ...nodeArguments(script)]);
  assert.equal(String(limited.stdout).trim(), 'IMAGE_TOO_LARGE_FOR_VOLUME', String(limited.stderr));
  assert.ok(!existsSync(`${path}.partial`));
});

test('a VMDK of a disk with sectors of 4 KiB is refused, in a file and as a stream', async () => {
  const path = join(newFolder(), 'disk');
  const refused = withCode('IMAGE_SECTOR_SIZE_REFUSED');
  for (const format of ['vmdk', 'vmdk-flat'] as const) {
    await assert.rejects(createImage(format, path, { size, logicalSectorSize: 4096 }), refused);
  }
  const disk = new MemoryDisk(size, { logicalSectorSize: 4096 });
  await assert.rejects(writeCompressedImage('vmdk-stream', path, disk), refused);
  assert.ok(!existsSync(path) && !existsSync(`${path}.partial`));
});

test('a VHD of a disk with other sectors than its own is refused; a disk too large or of half sectors is', async () => {
  const path = join(newFolder(), 'disk');
  for (const format of ['vhd', 'vhd-fixed'] as const) {
    const refused = (options: { size: number; logicalSectorSize?: number }, code: string): Promise<void> =>
      assert.rejects(createImage(format, path, options), withCode(code));
    await refused({ size, logicalSectorSize: 4096 }, 'IMAGE_SECTOR_SIZE_REFUSED');
    await refused({ size: 2 * TiB }, 'IMAGE_SIZE_REFUSED');
    await refused({ size: 1000 }, 'VHD_BAD_SHAPE');
    await (await createImage(format, path, { size, logicalSectorSize: 512 })).abort();
  }
  assert.ok(!existsSync(path) && !existsSync(`${path}.partial`));
});

function nodeArguments(script: string): [string, ...string[]] {
  return [process.execPath, '-C', 'source', '--input-type=module', '-e', script];
}

/** Another process starts an image, writes into it and is killed. */
async function killedWriter(format: ImageFormat, path: string): Promise<void> {
  const [node, ...args] = nodeArguments(`
    const { createImage } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    const image = await createImage('${format}', ${JSON.stringify(path)}, { size: ${size} });
    await image.place(0, 65536);
    console.log('half-way');
    setInterval(() => {}, 1000);`);
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** A volume of 4 MiB; undefined, and the test skipped, where mounting is not allowed. */
function smallVolume(t: TestContext, unproved: string): string | undefined {
  const folder = newFolder();
  const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
  if (!isRoot || spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]).status !== 0) {
    t.skip(`cannot mount a tmpfs; not proved: ${unproved}`);
    return undefined;
  }
  t.after(() => spawnSync('umount', [folder]));
  return folder;
}
