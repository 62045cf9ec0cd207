/** What is shown by `backup --dry-run`: of each VM what would be done and what stands in the way, then all of them in a table. */
import { formatBytes } from '../../base/index.ts';
import type { BackupRequest, PlannedVm } from '../engine.ts';
import { EXIT, exitCodeOf, type ExitCode } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { JsonDocument } from '../json-document.ts';
import { bytesCell, count } from '../numbers.ts';
import type { Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

type Plan = NonNullable<PlannedVm['plan']>;

export async function plan(
  session: Session,
  request: BackupRequest,
  document: JsonDocument,
  codes: ExitCode[],
): Promise<void> {
  const planned: PlannedVm[] = [];
  await session.perform(NOTHING_TO_CLEAN, async (task) => {
    for await (const vm of session.engine.planBackup(request, task)) {
      const { error, ...facts } = vm;
      codes.push(codeOf(vm));
      await document.item(error === undefined ? facts : { ...facts, error: session.report(error) });
      if (error === undefined) planned.push(vm);
      else session.output.fault(session.report(error));
      if (vm.plan) await session.output.lines(vmLines(vm, vm.plan, session.output.width));
    }
  });
  await session.output.lines(allLines(planned, session.output.width));
}

function codeOf({ plan: found, error }: PlannedVm): ExitCode {
  if (error !== undefined) return exitCodeOf(error);
  if (isRefused(found)) return EXIT.refused;
  return found?.obstacles.some(({ weight }) => weight === 'warning') ? EXIT.warnings : EXIT.ok;
}

function isRefused(found: Plan | undefined): boolean {
  return found?.obstacles.some(({ weight }) => weight === 'refused') ?? false;
}

const DISKS: readonly Column<Plan['disks'][number]>[] = [
  { title: 'DISK', cell: (disk) => String(disk.number) },
  { title: 'KIND', cell: (disk) => disk.kind },
  { title: 'WHY', cell: (disk) => disk.reason },
  { title: 'VIRTUAL', align: 'right', cell: (disk) => (disk.size === undefined ? '' : bytesCell(disk.size)) },
  { title: 'FILES', align: 'right', dropFirst: 1, cell: (disk) => String(disk.files) },
  { title: 'PATH', cell: (disk) => disk.path },
  { title: 'ID', dropFirst: 2, cell: (disk) => disk.diskId ?? '' },
];

function vmLines(vm: PlannedVm, { consistency, disks, volumes, obstacles }: Plan, width: number): string[] {
  const { asked, expected } = consistency;
  return [
    `${vm.name}: consistency ${asked}, ${expected === undefined ? 'which cannot be had' : `expected: ${expected}`}`,
    ...[
      ...tableLines(DISKS, disks, width - 2),
      ...volumes.map(({ name, free }) => `volume ${name} has ${formatBytes(free)} free`),
      ...obstacles.flatMap(({ weight, code, message, remedy }) => [
        `${weight} ${code}: ${message}`,
        ...(remedy.startsWith('nothing') ? [] : [`  do: ${remedy}`]),
      ]),
    ].map((line) => `  ${line}`),
  ];
}

const ALL: readonly Column<PlannedVm>[] = [
  { title: 'VM', cell: (vm) => vm.name },
  { title: 'HOST', cell: (vm) => vm.host },
  { title: 'VOLUMES', cell: (vm) => vm.volumes.join(', ') },
  { title: 'CONSISTENCY', cell: (vm) => vm.consistency + (vm.truncateLogs ? ', truncate logs' : '') },
  { title: 'BACKUP', cell: ({ plan: found }) => (isRefused(found) ? 'refused' : kindsOf(found)) },
  { title: 'ID', dropFirst: 1, cell: (vm) => vm.id },
];

/** `2 delta, 1 full` */
function kindsOf(found: Plan | undefined): string {
  const kinds = found?.disks.map(({ kind }) => kind) ?? [];
  return [...new Set(kinds)]
    .map((kind) => `${kinds.filter((each) => each === kind).length} ${kind}`)
    .join(', ');
}

function allLines(vms: readonly PlannedVm[], width: number): string[] {
  const refused = vms.filter(({ plan: found }) => isRefused(found)).length;
  const told = refused > 0 ? `, ${refused} refused` : '';
  return [
    `${count(vms.length - refused, 'VM')} would be backed up${told}`,
    ...tableLines(ALL, vms, width - 2).map((line) => `  ${line}`),
  ];
}
