/** OVA packages against tar, sha256sum, xmllint, Python and QEMU. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, hasCode, KiB, MiB } from '../base/index.ts';
import { MemoryDisk, type Disk } from '../disk/index.ts';
import { assertDocumented } from '../../test/offset-table.ts';
import { DEBIAN_PYTHON, requires } from '../../test/requires.ts';
import { ovaStream, writeOva, type OvaContents, type OvaDisk, type OvfMachine } from './index.ts';
import { assertQemuReads, diskOf, rawFile, Scratch } from './judges.fixture.ts';
import { ovfEnvelope } from './ovf.ts';
import { memberBytes, tarFields, tarHeader } from './tar.ts';

const MACHINE: OvfMachine = {
  name: 'web <01> & "söhne"',
  firmware: 'efi',
  secureBoot: true,
  processors: 4,
  memoryMiB: 6144,
  networkAdapters: [{ name: 'LAN', macAddress: '00155D0A0B0C' }, { name: 'DMZ' }],
  notes: ['the virtual TPM stays behind', 'a < b'],
};
const MODIFIED = new Date('2026-11-23T12:00:00Z');
const withTools = requires(
  ['tar', 'sha256sum', 'xmllint', 'qemu-img'],
  'tar, sha256sum, xmllint and QEMU read our OVA packages',
);

test('docs/formats/ova.md and tar.ts agree on every field', () => {
  assertDocumented('docs/formats/ova.md', tarFields);
});

interface Contents extends OvaContents {
  readonly disks: readonly (OvaDisk & { readonly disk: MemoryDisk })[];
}

async function contents(): Promise<Contents> {
  const system = await diskOf(40 * MiB + 512, [
    { offset: 0, length: 3 * MiB, kind: 'text' },
    { offset: 30 * MiB, length: 100 * KiB, kind: 'noise' },
  ]);
  const data = await diskOf(33 * MiB, [{ offset: 32 * MiB, length: MiB, kind: 'noise' }]);
  return {
    machine: MACHINE,
    disks: [
      { disk: system, bus: 'ide' },
      { disk: data, bus: 'scsi' },
    ],
  };
}

test(
  'a package unpacks in the order of OVF, its digests are right, and QEMU reads its disks',
  { ...withTools },
  async () => {
    using scratch = new Scratch();
    const ova = await contents();
    const path = scratch.path('.ova');
    const { disks } = await writeOva(path, ova, { modified: MODIFIED });
    const listed = execFileSync('tar', ['tf', path], { encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual(
      listed.map((name) => name.replace(/^web_01_s_hne_/, '…')),
      ['….ovf', '….mf', '…-disk1.vmdk', '…-disk2.vmdk'],
    );
    const unpacked = join(scratch.folder, 'unpacked');
    mkdirSync(unpacked);
    execFileSync('tar', ['xf', path, '-C', unpacked]);
    const manifest = readFileSync(join(unpacked, listed[1]!), 'utf8');
    const sums = manifest.replace(/^SHA256\((.*)\)= ([0-9a-f]{64})$/gm, '$2  $1');
    const checked = spawnSync('sha256sum', ['-c', '--strict'], {
      cwd: unpacked,
      input: sums,
      encoding: 'utf8',
    });
    assert.equal(checked.status, 0, checked.stdout);
    assert.equal(checked.stdout.match(/OK/g)?.length, 3);
    for (const [i, { disk }] of ova.disks.entries()) {
      const file = join(unpacked, listed[2 + i]!);
      assertQemuReads('vmdk', file, await rawFile(disk, scratch.path('.raw')));
      const size = xpath(
        join(unpacked, listed[0]!),
        `string(//*[@*[local-name()="href"]="${listed[2 + i]}"]/@*[local-name()="size"])`,
      );
      assert.equal(Number(size), statSync(file).size);
      assert.equal(disks[i]!.writtenBytes, statSync(file).size);
    }
  },
);

test(
  'the envelope says what the VM is, in the elements and the order that importers want',
  { ...withTools },
  async () => {
    using scratch = new Scratch();
    const path = scratch.path('.ovf');
    const disk = { fileSize: 5, capacity: 40 * GiB } as const;
    const disks = [
      { ...disk, fileName: 'a.vmdk', bus: 'ide' },
      ...Array.from({ length: 16 }, (_, i) => ({ ...disk, fileName: `s${i}.vmdk`, bus: 'scsi' as const })),
    ] as const;
    writeFileSync(path, ovfEnvelope(MACHINE, disks));
    const get = (expression: string): string => xpath(path, expression);
    assert.equal(get('string(//*[local-name()="VirtualSystem"]/*[local-name()="Name"])'), MACHINE.name);
    assert.equal(get('string(//*[local-name()="Annotation"])'), MACHINE.notes.join('\n'));
    const sections = get(
      'name(/*/*[1]) and local-name(/*/*[1])="References" and local-name(/*/*[2])="DiskSection" and local-name(/*/*[4])="VirtualSystem"',
    );
    assert.equal(sections, 'true');
    assert.equal(get('string(//*[local-name()="VirtualSystemType"])'), 'vmx-13');
    assert.equal(get(quantityOf(3)), '4');
    assert.equal(get(quantityOf(4)), '6144');
    assert.equal(get('string(//*[@*[local-name()="key"]="firmware"]/@*[local-name()="value"])'), 'efi');
    assert.equal(
      get('string(//*[contains(@*[local-name()="key"], "SecureBoot")]/@*[local-name()="value"])'),
      'true',
    );
    assert.equal(
      get('count(//*[local-name()="Disk"][contains(@*[local-name()="format"], "streamOptimized")])'),
      '17',
    );
    assert.equal(get(`string(${item(10)}/*[local-name()="Address"])`), '00:15:5d:0a:0b:0c');
    assert.equal(get(`count(${item(10)})`), '2');
    const units = [...Array(16).keys()].map((i) =>
      get(`string((${item(17)})[${i + 2}]/*[local-name()="AddressOnParent"])`),
    );
    assert.deepEqual(
      units.map(Number),
      [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 0],
      'unit 7 is the controller',
    );
    assert.equal(get(`count(${item(6)}[*="lsilogicsas"])`), '2');
    // Every disk hangs on a controller that exists, and no two items share a number.
    assert.equal(
      get(
        `count(${item(17)}[not(*[local-name()="Parent"]=//*[local-name()="Item"]/*[local-name()="InstanceID"])])`,
      ),
      '0',
    );
    assert.equal(
      get(
        'count(//*[local-name()="Item"]/*[local-name()="InstanceID"][.=../following-sibling::*/*[local-name()="InstanceID"]])',
      ),
      '0',
    );
    assert.equal(
      get(
        'count(//*[local-name()="Item"]/*[local-name()="ElementName"][preceding-sibling::*[local-name()="InstanceID"]])',
      ),
      '0',
    );
  },
);

function item(type: number): string {
  return `//*[local-name()="Item"][*[local-name()="ResourceType"]="${type}"]`;
}

function quantityOf(type: number): string {
  return `string(${item(type)}/*[local-name()="VirtualQuantity"])`;
}

function xpath(path: string, expression: string): string {
  return execFileSync('xmllint', ['--xpath', expression, path], { encoding: 'utf8' }).replace(/\n$/, '');
}

test('a VM with BIOS says so and has no Secure Boot; text that is no XML is made harmless', () => {
  const machine = { ...MACHINE, firmware: 'bios', name: 'a\u0000b\ud800]]>', notes: [] } as const;
  const xml = ovfEnvelope(machine, []);
  assert.match(xml, /vmw:key="firmware" vmw:value="bios"/);
  assert.ok(!xml.includes('SecureBoot') && !xml.includes('Annotation'));
  assert.match(xml, /<Name>a_b_]]&gt;<\/Name>/);
});

test('down a pipe go the same bytes as into a file', async () => {
  using scratch = new Scratch();
  const ova = await contents();
  const path = scratch.path('.ova');
  await writeOva(path, ova, { modified: MODIFIED });
  const piped = Buffer.concat(await Array.fromAsync(ovaStream(ova, { modified: MODIFIED })));
  assert.ok(withoutRandom(piped).equals(withoutRandom(readFileSync(path))));
});

/** The content ids of the disks are random, and with them the digests. */
function withoutRandom(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/CID=[0-9a-f]{8}\nparent|\)= [0-9a-f]{64}/g, '-');
  return Buffer.from(text, 'latin1');
}

test('more disks than importers take are refused before anything is read', async () => {
  using scratch = new Scratch();
  const disk = new MemoryDisk(MiB);
  const disks = Array.from({ length: 5 }, () => ({ disk, bus: 'ide' as const }));
  await assert.rejects(writeOva(scratch.path(), { machine: MACHINE, disks }), (error) =>
    hasCode(error, 'IMAGE_TOO_MANY_DISKS'),
  );
  assert.deepEqual(readdirSync(scratch.folder), []);
});

test('a disk that changes between the two readings of a pipe ends it with a fault', async () => {
  let reads = 0;
  const disk: Disk = {
    size: MiB,
    logicalSectorSize: 512,
    allocated: () => [{ offset: 0, length: MiB }],
    read: async (_offset, into) => void into.fill((reads += 1)),
    close: async () => {},
  };
  const stream = ovaStream({ machine: MACHINE, disks: [{ disk, bus: 'scsi' }] }, { workers: 0 });
  await assert.rejects(Array.fromAsync(stream), (error) => hasCode(error, 'IMAGE_SOURCE_CHANGED'));
});

test('a run that is stopped leaves no package', async () => {
  using scratch = new Scratch();
  const controller = new AbortController();
  const progress = { phase() {}, note() {}, advance: () => controller.abort(new Error('stopped')) };
  const options = { progress, signal: controller.signal };
  await assert.rejects(writeOva(scratch.path(), await contents(), options), /stopped/);
  assert.deepEqual(readdirSync(scratch.folder), []);
});

test('members beyond 8 GiB are listed with their size and what follows them', { ...withTools }, async () => {
  using scratch = new Scratch();
  const path = scratch.path('.tar');
  const sizes = [8 * GiB - 1, 8 * GiB, 3000 * GiB, 700];
  const file = await open(path, 'w');
  let at = 0;
  for (const [i, size] of sizes.entries()) {
    await file.write(tarHeader({ name: `member-${i}`, size, modified: 1_700_000_000 }), 0, 512, at);
    at += memberBytes(size);
  }
  await file.truncate(at + 1024);
  await file.close();
  const listed = execFileSync('tar', ['tvf', path, '--numeric-owner'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  assert.deepEqual(
    listed.map((line) => Number(line.split(/\s+/)[2])),
    sizes,
  );
  const script = 'import sys, tarfile; print(*[m.size for m in tarfile.open(sys.argv[1])])';
  const python = execFileSync(DEBIAN_PYTHON, ['-c', script, path], { encoding: 'utf8' });
  assert.deepEqual(python.trim().split(' ').map(Number), sizes);
});
