/** `hvlift lab vm`: the VMs of the host, and what is plugged into them. */
import type { Command } from '@commander-js/extra-typings';
import { Argument, Option } from '@commander-js/extra-typings';
import { registerMove } from './nodes.ts';
import { guestOption, withGuest } from './real-guest.ts';
import { bytes, connected, folderOption, print } from './session.ts';
import { diskSpec } from './start.ts';

const GENERATIONS = { '1': 1, '2': 2 } as const;

export function registerVm(program: Command): void {
  const vm = program.command('vm').summary('create, change and remove VMs');
  vm.command('list')
    .summary('all VMs as JSON')
    .addOption(folderOption)
    .action(async (options) => print(await (await connected(options)).vms()));
  vm.command('add')
    .summary('create a running VM')
    .argument('<name>')
    .argument('[disks...]', 'a size (8GiB), a .vhdx file without parents, or a raw image')
    .addOption(folderOption)
    .addOption(new Option('--generation <number>').choices(['1', '2'] as const).default('2' as const))
    .addOption(guestOption)
    .action(async (name, disks, options) => {
      const client = await connected(options);
      const spec = { name, generation: GENERATIONS[options.generation], disks: disks.map(diskSpec) };
      print(await withGuest(options.guest, spec, (whole) => client.createVm(whole)));
    });
  vm.command('remove')
    .summary('remove a VM and its disks')
    .argument('<vm>')
    .addOption(folderOption)
    .action(async (name, options) => (await connected(options)).removeVm(name));
  vm.command('power')
    .summary('change the power of a VM at once')
    .argument('<vm>')
    .addArgument(new Argument('<state>').choices(['running', 'off', 'saved', 'paused'] as const))
    .option('--clean', 'the guest writes out its cache first, as in a shutdown', false)
    .addOption(folderOption)
    .action(async (name, state, options) =>
      (await connected(options)).setPower(name, state, { flushed: options.clean }),
    );
  vm.command('vss')
    .summary('say how the VSS service in the guest behaves from now on')
    .argument('<vm>')
    .addArgument(
      new Argument('<mode>').choices(['ok', 'disabled', 'no-contact', 'timeout', 'fails'] as const),
    )
    .addOption(folderOption)
    .action(async (name, mode, options) => (await connected(options)).setGuest(name, { vss: mode }));
  registerMove(vm);
  registerDisks(vm);
}

function registerDisks(vm: Pick<Command, 'command'>): void {
  vm.command('add-disk')
    .argument('<vm>')
    .argument('<disk>', 'a size, a .vhdx file without parents, or a raw image')
    .addOption(folderOption)
    .action(async (name, disk, options) =>
      print(await (await connected(options)).addDisk(name, diskSpec(disk))),
    );
  vm.command('replace-disk')
    .summary('put another disk into the slot of one')
    .argument('<vm>')
    .argument('<disk-id>')
    .argument('<disk>', 'as for add-disk')
    .addOption(folderOption)
    .action(async (name, diskId, disk, options) =>
      print(await (await connected(options)).replaceDisk(name, diskId, diskSpec(disk))),
    );
  vm.command('resize-disk')
    .argument('<vm>')
    .argument('<disk-id>')
    .argument('<size>')
    .addOption(folderOption)
    .action(async (name, diskId, size, options) =>
      (await connected(options)).resizeDisk(name, diskId, bytes(size)),
    );
  vm.command('hold-merges')
    .summary('keep the AVHDX files of a VM from being merged')
    .argument('<vm>')
    .option('--release', 'let them merge again', false)
    .addOption(folderOption)
    .action(async (name, options) => (await connected(options)).holdMerges(name, !options.release));
}
