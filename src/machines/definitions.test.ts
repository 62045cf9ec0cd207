/** What is written for QEMU and for libvirt is understood by them, whatever the VM and its disks are called. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { requires } from '../../test/requires.ts';
import { hasCode } from '../base/index.ts';
import { capturedDisk, generation1, generation2, ideDisk } from './captured-vm.fixture.ts';
import {
  describeMachine,
  findUefi,
  libvirtDomain,
  prepareMachineFolder,
  qemuArguments,
  shellLine,
  type CapturedVm,
  type DiskSource,
  type MachineChoices,
} from './index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hvlift-machine-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const manyDisks = (source?: DiskSource) =>
  Array.from({ length: 9 }, (_, slot) =>
    capturedDisk({ slot, logicalSectorSize: slot === 3 ? 4096 : 512, ...(source ? { source } : {}) }),
  );

const NETWORKS = { Front: { kind: 'nat' } } as const;
const TCP: DiskSource = {
  kind: 'nbd',
  place: { kind: 'tcp', host: '::1', port: 10_809 },
  exportName: 'a,b=c',
};

function shapes(source?: DiskSource): [string, CapturedVm, MachineChoices][] {
  const of = <T extends object>(disk: T): T => (source ? { ...disk, source } : disk);
  const gen1 = generation1([...manyDisks(source), of(ideDisk(0)), of(ideDisk(1))]);
  const gen2 = generation2(manyDisks(source));
  return [
    ['generation 1', gen1, { networks: NETWORKS }],
    ['generation 1 with virtio', gen1, { devices: 'virtio' }],
    ['generation 2', gen2, { networks: NETWORKS, secureBoot: false }],
    ['generation 2 with virtio and Secure Boot', gen2, { devices: 'virtio', memoryMiB: 300 }],
    ['a VM without settings', { id: 'x', name: '', configuration: {}, disks: gen2.disks }, {}],
  ];
}

function validate(xml: string): void {
  const path = join(folder, 'domain.xml');
  const run = spawnSync('sh', ['-c', 'cat > "$1" && virt-xml-validate "$1" domain', 'sh', path], {
    input: xml,
  });
  assert.equal(run.status, 0, `${run.stderr.toString()}\n${xml}`);
}

test(
  'domains of every shape are valid by the schema of libvirt',
  requires(['virt-xml-validate', 'xmllint'], 'domains by the schema of libvirt'),
  () => {
    for (const source of [undefined, TCP, { kind: 'file', path: '/a & b.qcow2', format: 'qcow2' }] as const)
      for (const [, vm, choices] of shapes(source))
        for (const accelerator of source ? (['kvm'] as const) : (['kvm', 'tcg'] as const))
          validate(libvirtDomain(describeMachine(vm, choices).machine, { accelerator }));
    const networks = {
      '*': { kind: 'network', name: 'default' },
      Back: { kind: 'bridge', name: 'br0' },
    } as const;
    validate(libvirtDomain(describeMachine(generation1(), { networks }).machine, { accelerator: 'kvm' }));
  },
);

test(
  'no name breaks a domain',
  requires(['virt-xml-validate', 'xmllint'], 'domains by the schema of libvirt'),
  () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, exportName) => {
        const source = {
          kind: 'nbd',
          place: { kind: 'unix', path: `/run/${exportName}` },
          exportName,
        } as const;
        const vm = { ...generation2([capturedDisk({ source })]), name };
        validate(libvirtDomain(describeMachine(vm).machine, { accelerator: 'tcg' }));
      }),
      {
        numRuns: 10,
        examples: [
          ['</name><!--', '"><&\''],
          ['/', '\n'],
          ['..', ']]>'],
          [' ', '\ud800'],
        ],
      },
    );
  },
);

const STOPPED = ['-S', '-monitor', 'stdio'];

/** QEMU builds the whole machine, never runs it, and ends. */
function assertStarts(name: string, argv: readonly string[]): void {
  const run = spawnSync('qemu-system-x86_64', [...argv, ...STOPPED], { input: 'quit\n', encoding: 'utf8' });
  assert.equal(run.status, 0, `${name}: ${run.stderr}\n${shellLine(argv)}`);
  assert.doesNotMatch(run.stderr, /warning/, name);
}

test(
  'QEMU builds machines of every shape, with names full of commas and quotes',
  requires(['qemu-system-x86_64'], 'command lines for QEMU'),
  async () => {
    const odd = join(folder, `a,b='c"`);
    const path = `${odd}.raw`;
    await writeFile(path, new Uint8Array(65_536));
    for (const [name, vm, choices] of shapes()) {
      // QEMU locks a file, so each disk has one of its own.
      const disks = await Promise.all(
        vm.disks.map(async (disk, n) => {
          const file = `${odd}-${n}.raw`;
          await writeFile(file, new Uint8Array(65_536));
          return { ...disk, source: { kind: 'file', path: file, format: 'raw' } as const };
        }),
      );
      const { machine } = describeMachine({ ...vm, name: `${vm.name},x=y "z" 'q'`, disks }, choices);
      const firmware = machine.firmware === 'uefi' ? await findUefi(machine.secureBoot) : undefined;
      await prepareMachineFolder(odd, firmware);
      assertStarts(
        name,
        qemuArguments({ ...machine, memoryMiB: 64 }, { accelerator: 'tcg', folder: odd, firmware }),
      );
    }
  },
);

test('QEMU alone is not connected to a network of libvirt', () => {
  const { machine } = describeMachine(generation1(), { networks: { '*': { kind: 'network', name: 'lan' } } });
  assert.throws(
    () => qemuArguments(machine, { accelerator: 'tcg', folder }),
    (error) => hasCode(error, 'MACHINE_NETWORK_OF_LIBVIRT'),
  );
});

test('the command line is what a shell reads back as the same words', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 0 }), { minLength: 1, maxLength: 20 }), (words) => {
      const clean = words.map((word) => word.replaceAll('\0', ''));
      const run = spawnSync('sh', ['-c', `printf '%s\\0' ${shellLine(clean)}`], { encoding: 'utf8' });
      assert.deepEqual(run.stdout.split('\0').slice(0, -1), clean);
    }),
    { numRuns: 30 },
  );
});

test('firmware is the first that fits; what is hidden or broken is passed over', async () => {
  const own = join(folder, 'etc');
  const systems = join(folder, 'share');
  const descriptor = (name: string, features: readonly string[]) =>
    JSON.stringify({
      'interface-types': ['uefi'],
      mapping: {
        device: 'flash',
        executable: { filename: `/${name}.code`, format: 'raw' },
        'nvram-template': { filename: `/${name}.vars`, format: 'raw' },
      },
      targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
      features,
    });
  await Promise.all([own, systems].map((path) => prepareMachineFolder(path)));
  await writeFile(
    join(systems, '10-keys.json'),
    descriptor('keys', ['secure-boot', 'enrolled-keys', 'requires-smm']),
  );
  await writeFile(join(systems, '20-hidden.json'), descriptor('hidden', []));
  await writeFile(join(own, '20-hidden.json'), '');
  await writeFile(join(systems, '30-plain.json'), descriptor('plain', []));
  const plain = await findUefi(false, [own, systems]);
  assert.deepEqual(plain, { codePath: '/plain.code', variablesPath: '/plain.vars', needsSmm: false });
  assert.equal((await findUefi(true, [own, systems])).needsSmm, true);
  await assert.rejects(findUefi(true, [own]), (error) => hasCode(error, 'MACHINE_NO_FIRMWARE'));
});
