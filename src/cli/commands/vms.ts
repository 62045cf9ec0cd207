/** `hvlift vms`: the VMs of a host, and what stands in the way of backing them up. */
import type { Command } from '@commander-js/extra-typings';
import type { VmSummary } from '../engine.ts';
import { EXIT } from '../exit-code.ts';
import { bytesCell } from '../numbers.ts';
import { hostOption } from '../options.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { Runner } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

export function registerVms(program: Command, run: Runner): void {
  program
    .command('vms')
    .summary('list the VMs of a host')
    .description('Lists the VMs of a host, and says before the first backup what cannot be protected.')
    .addOption(hostOption)
    .action((options) =>
      run(async (session) => {
        const host = await session.host(options.host);
        const vms = await session.perform(NOTHING_TO_CLEAN, (task) => session.engine.vms(host, task));
        await session.output.result({ host: host.name, vms }, () =>
          tableLines(COLUMNS, vms, session.output.width),
        );
        return EXIT.ok;
      }),
    );
}

const COLUMNS: readonly Column<VmSummary>[] = [
  { title: 'NAME', cell: (vm) => vm.name },
  { title: 'STATE', cell: (vm) => (vm.busy === undefined ? vm.state : `${vm.state}, ${vm.busy}`) },
  { title: 'GEN', align: 'right', cell: (vm) => String(vm.generation ?? '') },
  { title: 'VERSION', align: 'right', cell: (vm) => vm.configurationVersion ?? '' },
  { title: 'DISKS', align: 'right', cell: (vm) => String(vm.disks) },
  { title: 'VIRTUAL', align: 'right', cell: (vm) => bytesCell(vm.virtualBytes) },
  { title: 'TAGS', cell: (vm) => vm.tags?.join(', ') ?? '' },
  { title: 'ID', cell: (vm) => vm.id },
  { title: 'NOT PROTECTED', cell: (vm) => vm.obstacles.join('; ') },
];
