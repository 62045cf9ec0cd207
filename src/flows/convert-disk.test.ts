import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { hasCode, KiB, MiB, silentProgress, type Progress } from '../base/index.ts';
import { createVhdx } from '../vhdx/index.ts';
import { convertDisk, convertStream, type ConvertFormat } from './convert-disk.ts';
import { DiskFolder, knownChain } from './disk-files.fixture.ts';

const files = new DiskFolder();
const { leaf, content } = await knownChain(files.at('vm'));

function judge(...argv: readonly string[]): void {
  const run = spawnSync('qemu-img', argv, { cwd: files.path, encoding: 'utf8' });
  assert.equal(run.status, 0, `qemu-img ${argv.join(' ')}: ${run.stdout}${run.stderr}`);
}

/** The format, and what QEMU calls it. */
const TARGETS: readonly (readonly [ConvertFormat, string])[] = [
  ['raw', 'raw'],
  ['vhdx', 'vhdx'],
  ['vhdx-fixed', 'vhdx'],
  ['vhd', 'vpc'],
  ['vhd-fixed', 'vpc'],
  ['qcow2', 'qcow2'],
  ['qcow2-zstd', 'qcow2'],
  ['vmdk', 'vmdk'],
  ['vmdk-flat', 'vmdk'],
  ['vmdk-stream', 'vmdk'],
];

for (const [format, driver] of TARGETS) {
  test(
    `a chain as ${format} is one disk, the same to QEMU and read back`,
    requires(['qemu-img'], `that an image of ${format} made of a chain is read elsewhere`),
    async () => {
      const target = files.at(`out.${format}`);
      const { virtualBytes, sourceFormat, ...record } = await convertDisk({
        source: leaf,
        target,
        format,
        verify: true,
      });
      assert.deepEqual([virtualBytes, sourceFormat, record.verified], [content.length, 'vhdx', true]);
      assert.ok(record.writtenBytes < 8 * MiB, `${record.writtenBytes} bytes for 3.2 MiB of data`);
      // Asked this way, QEMU takes the size of a VHD from where Hyper-V takes it.
      const size = driver === 'vpc' ? 'force_size_calc=current_size,' : '';
      const image = `driver=${driver},${size}file.filename=out.${format}`;
      judge('convert', '--image-opts', image, '-O', 'raw', 'back.img');
      assert.equal(Buffer.compare(readFileSync(files.at('back.img')), content), 0);
    },
  );
}

test('a stream is the image as a file would be', async () => {
  const sent = Buffer.concat(await Array.fromAsync(convertStream({ source: leaf, format: 'raw' })));
  assert.equal(Buffer.compare(sent, content), 0);
});

test('sectors of 4 KiB stay such, and formats that cannot say so are refused before anything is there', async () => {
  await createVhdx(files.at('4k.vhdx'), { size: 8 * MiB, kind: 'dynamic', logicalSectorSize: 4096 });
  const source = files.at('4k.vhdx');
  await convertDisk({ source, target: files.at('4k-copy.vhdx'), format: 'vhdx', verify: true });
  const refused = convertDisk({ source, target: files.at('4k.vhd'), format: 'vhd' });
  await assert.rejects(refused, (e) => hasCode(e, 'IMAGE_SECTOR_SIZE_REFUSED'));
  assert.deepEqual(
    readdirSync(files.path).filter((name) => name.startsWith('4k.vhd.') || name === '4k.vhd'),
    [],
  );
});

test('no file of the source is written to, whatever it is called by', async () => {
  mkdirSync(files.at('own'));
  const own = (name: string): string => files.at('own', name);
  for (const name of ['base.vhdx', 'leaf.avhdx']) copyFileSync(files.at('vm', name), own(name));
  linkSync(own('base.vhdx'), own('hard.vhdx'));
  symlinkSync('leaf.avhdx', own('soft.vhdx'));
  await convertDisk({ source: leaf, target: own('x.vmdk'), format: 'vmdk-flat' });
  await convertDisk({ source: leaf, target: own('y.raw.partial'), format: 'raw' });
  const before = readdirSync(own('')).map((name) => readFileSync(own(name)));
  const attempts: readonly (readonly [string, string, ConvertFormat])[] = [
    ['leaf.avhdx', 'leaf.avhdx', 'vhdx'],
    ['leaf.avhdx', 'base.vhdx', 'vhdx'],
    ['leaf.avhdx', 'hard.vhdx', 'raw'],
    ['leaf.avhdx', 'soft.vhdx', 'qcow2-zstd'],
    ['leaf.avhdx', '../own/./leaf.avhdx', 'vhdx'],
    // What an earlier run left is removed, and the flat file of a VMDK has a name that nobody gave.
    ['y.raw.partial', 'y.raw', 'raw'],
    ['x-flat.vmdk', 'x.vmdk', 'vmdk-flat'],
  ];
  for (const [source, target, format] of attempts) {
    await assert.rejects(
      convertDisk({ source: own(source), target: own(target), format, overwrite: true }),
      (e) => hasCode(e, 'FLOW_TARGET_IS_SOURCE'),
      target,
    );
  }
  const unchanged = readdirSync(own('')).map((name, i) =>
    Buffer.compare(readFileSync(own(name)), before[i]!),
  );
  assert.deepEqual(new Set(unchanged), new Set([0]));
});

/** Progress that does something once, before a phase does its first byte. */
function beforePhase(name: string, act: () => void): Progress {
  const phase = (text: string): void => {
    if (text.startsWith(name)) act();
  };
  return { ...silentProgress, phase };
}

for (const format of ['vhdx', 'qcow2-zstd'] as const) {
  test(`a source that changes while it is read leaves no image of ${format}`, async () => {
    const source = files.at(`changing-${format}.raw`);
    writeFileSync(source, content);
    mkdirSync(files.at(`none-${format}`));
    const progress = beforePhase('convert', () => appendFileSync(source, Buffer.alloc(512)));
    const target = files.at(`none-${format}`, 'image');
    await assert.rejects(convertDisk({ source, target, format, progress }), (e) =>
      hasCode(e, 'FLOW_SOURCE_CHANGED'),
    );
    assert.deepEqual(readdirSync(files.at(`none-${format}`)), []);
  });
}

for (const [format, file, at] of [
  ['raw', 'image', 5 * MiB],
  ['vmdk-flat', 'image-flat.vmdk', 5 * MiB],
  ['vhdx', 'image', undefined],
  ['qcow2', 'image', undefined],
  ['vmdk', 'image', undefined],
] as const) {
  test(`an image of ${format} that reads back otherwise is told of and removed, and the one it was to replace stays`, async () => {
    const folder = `bad-${format}`;
    mkdirSync(files.at(folder));
    const target = files.at(folder, 'image');
    await convertDisk({ source: leaf, target, format });
    const earlier = readFileSync(files.at(folder, file));
    const firstData = content.findIndex((byte) => byte !== 0);
    const spoil = (): void => {
      const image = openSync(files.at(folder, `${file}.partial`), 'r+');
      const place = at ?? earlier.indexOf(content.subarray(firstData, firstData + 512));
      writeSync(image, Buffer.of(~content[at ?? firstData]!), 0, 1, place);
      closeSync(image);
    };
    const progress = beforePhase('read back', spoil);
    const converted = convertDisk({ source: leaf, target, format, verify: true, overwrite: true, progress });
    await assert.rejects(converted, (error) => {
      assert.ok(hasCode(error, 'FLOW_CONVERTED_DIFFERS'));
      return error.details['offset'] === (at ?? firstData);
    });
    assert.deepEqual(readFileSync(files.at(folder, file)), earlier);
    assert.deepEqual(
      readdirSync(files.at(folder)).filter((name) => name.endsWith('.partial')),
      [],
    );
  });
}

for (const format of ['qcow2-zstd', 'vmdk-stream'] as const) {
  test(`a compressed image of ${format} that was damaged on its way is told of and removed`, async () => {
    const folder = `bad-${format}`;
    mkdirSync(files.at(folder));
    const target = files.at(folder, 'image');
    const spoil = (): void => {
      const image = openSync(`${target}.partial`, 'r+');
      const bytes = readFileSync(`${target}.partial`);
      // Past tables and headers: the first packed bytes stand there.
      const place =
        format === 'qcow2-zstd' ? bytes.indexOf(Buffer.of(0x28, 0xb5, 0x2f, 0xfd)) + 5 : 64 * KiB + 20;
      writeSync(image, Buffer.alloc(8, 0xa5), 0, 8, place);
      closeSync(image);
    };
    const progress = beforePhase('read back', spoil);
    const converted = convertDisk({ source: leaf, target, format, verify: true, progress });
    await assert.rejects(
      converted,
      (e) => hasCode(e, 'IMAGE_DAMAGED') || hasCode(e, 'FLOW_CONVERTED_DIFFERS'),
    );
    assert.deepEqual(readdirSync(files.at(folder)), []);
  });
}
