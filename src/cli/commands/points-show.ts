/** `hvlift points show POINT`: one restore point, its VM, and with `--why` what made it as large as it is. */
import { Option, type Command } from '@commander-js/extra-typings';
import { MiB, formatBytes } from '../../base/index.ts';
import type { VmConfiguration } from '../../hyperv/index.ts';
import { consistencyText } from '../consistency-text.ts';
import type { PointDetails, PointDisk } from '../engine.ts';
import { EXIT, exitCodeOfOutcome, worstOf } from '../exit-code.ts';
import { count, timeCell } from '../numbers.ts';
import {
  latestOfOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { Runner } from '../session.ts';
import { sizeColumns } from '../size-columns.ts';
import { tableLines, type Column } from '../table.ts';
import { whyLines } from './points-why.ts';

export function registerPointsShow(points: Command, run: Runner): void {
  points
    .command('show')
    .summary('show one restore point')
    .description(
      'Shows a restore point and the VM in it. With --why it tells what made the point as large as it is: which parts of which ' +
        'file systems changed, and what is usual for them.',
    )
    .argument('<point>', 'id of the restore point, the beginning of one, or "latest" with --vm')
    .addOption(repoOption)
    .addOption(latestOfOption)
    .addOption(
      new Option('--why', 'what changed, by partition and area of the file system; reads the changes'),
    )
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const selected = pointSelector(point, options.vm, 'hvlift points show');
        const repository = await session.repository(options);
        const request = { repository, point: selected, why: options.why === true };
        const details = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.showPoint(request, task),
        );
        await session.output.result(details, () => linesOf(details, session.output.width));
        for (const warning of details.warnings) session.output.warn(warning);
        const damage = details.losses.length > 0 ? EXIT.corrupt : EXIT.ok;
        return worstOf([damage, exitCodeOfOutcome(details)]);
      }),
    );
}

const DISK_COLUMNS: readonly Column<PointDisk>[] = [
  { title: 'DISK', align: 'right', cell: (disk) => String(disk.number) },
  { title: 'KIND', cell: (disk) => disk.kind },
  { title: 'REASON', cell: (disk) => disk.reason },
  { title: 'AUDIT', cell: (disk) => (disk.suspect ? 'SUSPECT' : '') },
  ...sizeColumns<PointDisk>((disk) => disk.sizes),
  { title: 'PATH', cell: (disk) => disk.path },
];

function linesOf(details: PointDetails, width: number): string[] {
  const { id, vm, host, createdAt, consistency, consumer, foldedFrom, parent, why } = details;
  return [
    `point ${id} of ${vm.name} (${vm.id})`,
    `created ${timeCell(createdAt)} on ${host}, consistency ${consistencyText(consistency)}${
      consumer === undefined ? '' : `, consumer ${consumer}`
    }${parent === undefined ? '' : `, over point ${parent}`}`,
    ...(foldedFrom === undefined ? [] : [`folded from point ${foldedFrom}: the same content`]),
    ...machineLines(details.configuration ?? {}),
    '',
    ...tableLines(DISK_COLUMNS, details.disks, width),
    ...details.losses.map(lossLine),
    ...(details.leftOut ?? []).map(({ path, why }) => `left out: ${path}: ${why}`),
    ...(why ? why.disks.flatMap((disk, index) => ['', ...whyLines(disk, index + 1, width)]) : []),
  ];
}

function lossLine({ disk, extents }: PointDetails['losses'][number]): string {
  const bytes = extents.reduce((sum, { length }) => sum + length, 0);
  return `DAMAGED: ${formatBytes(bytes)} in ${count(extents.length, 'range')} of disk ${disk} cannot be restored`;
}

/** As stored: settings from before there was a version have less in them. */
function machineLines(configuration: Partial<VmConfiguration>): string[] {
  const { networkAdapters = [], notes = [] } = configuration;
  const facts = machineFacts(configuration);
  return [
    ...(facts.length > 0 ? [facts.join(', ')] : []),
    ...networkAdapters.map(adapterLine),
    ...notes.map((note) => `note: ${note}`),
  ];
}

function machineFacts(configuration: Partial<VmConfiguration>): string[] {
  const { generation, configurationVersion, processors, memory, firmware, security } = configuration;
  const ranges = memory?.dynamic
    ? ` (${formatBytes(memory.minimumMiB * MiB)} to ${formatBytes(memory.maximumMiB * MiB)})`
    : '';
  const template = firmware?.secureBootTemplate === undefined ? '' : ` (${firmware.secureBootTemplate})`;
  return [
    ...(generation === undefined ? [] : [`generation ${generation}`]),
    ...(configurationVersion === undefined ? [] : [`version ${configurationVersion}`]),
    ...(processors === undefined ? [] : [count(processors, 'processor')]),
    ...(memory ? [`${formatBytes(memory.startupMiB * MiB)} memory${ranges}`] : []),
    ...(firmware?.secureBoot ? [`Secure Boot${template}`] : []),
    ...(security?.tpm ? ['TPM'] : []),
    ...(security?.shielded ? ['shielded'] : []),
  ];
}

function adapterLine(adapter: VmConfiguration['networkAdapters'][number]): string {
  const { name, macAddress, staticMacAddress, switchName, connected, vlan } = adapter;
  const ids = vlan?.accessId || vlan?.trunkIds?.join(' ') || '';
  return [
    `network adapter ${name}: ${macAddress || 'no address yet'}${staticMacAddress ? ' (static)' : ''}`,
    ...(switchName === undefined
      ? []
      : [`switch ${switchName}${connected === false ? ' (not connected)' : ''}`]),
    ...(ids === '' ? [] : [`VLAN ${ids}`]),
  ].join(', ');
}
