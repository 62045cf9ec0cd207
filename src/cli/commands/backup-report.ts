/** What is shown of the records of a backup. */
import { formatBytes, formatDuration } from '../../base/index.ts';
import { consistencyCell, consistencyText } from '../consistency-text.ts';
import type { BackupRun, Sizes } from '../engine.ts';
import { exitCodeOfOutcome, outcomeOf, type Outcome } from '../exit-code.ts';
import { bytesCell, count, ratePerSecond } from '../numbers.ts';
import type { Session } from '../session.ts';
import { sizeColumns } from '../size-columns.ts';
import { tableLines, type Column } from '../table.ts';

export function jsonRecord(record: BackupRun, session: Session): Readonly<Record<string, unknown>> {
  const { error, ...facts } = record;
  const verdict = { outcome: outcomeOf(record), exitCode: exitCodeOfOutcome(record) };
  return { ...facts, ...verdict, ...(error === undefined ? {} : { error: session.report(error) }) };
}

/** One VM, as soon as it has ended. */
export async function show(record: BackupRun, session: Session): Promise<void> {
  await session.output.lines([
    headline(record),
    ...diskLines(record, session.output.width),
    ...leftOutLines(record),
  ]);
  for (const warning of record.warnings) session.output.warn(warning);
  if (record.error !== undefined) session.output.fault(session.report(record.error));
}

function headline({ vm, pointId, consistency, seconds, error }: BackupRun): string {
  if (pointId === undefined) return `${vm.name}: failed, no restore point was made`;
  const state = error === undefined ? '' : ', then an error';
  return `${vm.name}: restore point ${pointId} in ${formatDuration(seconds)}, consistency ${consistencyText(consistency)}${state}`;
}

interface Row {
  readonly disk: string;
  readonly kind: string;
  readonly sizes: Sizes;
  readonly seconds: number;
  readonly folded?: { readonly bytes: number };
  readonly audit: string;
  readonly reason: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'DISK', cell: (row) => row.disk },
  { title: 'KIND', cell: (row) => row.kind },
  ...sizeColumns<Row>((row) => row.sizes),
  { title: 'MB/s', align: 'right', dropFirst: 5, cell: (row) => ratePerSecond(row.sizes.read, row.seconds) },
  {
    title: 'FOLDED',
    align: 'right',
    dropFirst: 4,
    cell: ({ folded }) => (folded ? formatBytes(folded.bytes) : ''),
  },
  { title: 'AUDIT', cell: (row) => row.audit },
  { title: 'WHY', cell: (row) => row.reason },
];

/** `64 MiB, all in 16 runs`: how much was compared, and after how many increments every byte is. */
function auditCell({ audit }: BackupRun['disks'][number]): string {
  if (audit === undefined) return '';
  const { comparedBytes, mismatchBytes, withinRuns } = audit;
  if (mismatchBytes > 0) return `${formatBytes(mismatchBytes)} DIFFER`;
  return `${formatBytes(comparedBytes)}, all in ${count(withinRuns, 'run')}`;
}

function diskLines({ disks, sizes, seconds }: BackupRun, width: number): string[] {
  if (disks.length === 0) return [];
  const rows = disks.map((disk): Row => ({ ...disk, disk: String(disk.number), audit: auditCell(disk) }));
  const all: Row = { disk: 'all', kind: '', sizes, seconds, audit: '', reason: '' };
  return tableLines(COLUMNS, disks.length > 1 ? [...rows, all] : rows, width - 2).map((line) => `  ${line}`);
}

function leftOutLines({ leftOut = [] }: BackupRun): string[] {
  return leftOut.map(({ number, path, why }) => `  disk ${number} (${path}) is left out: ${why}`);
}

type SummaryRow = Omit<BackupRun, 'disks'> & { readonly outcome: Outcome; readonly why: string };

const SUMMARY: readonly Column<SummaryRow>[] = [
  { title: 'VM', cell: (row) => row.vm.name },
  { title: 'OUTCOME', cell: (row) => row.outcome },
  { title: 'POINT', dropFirst: 2, cell: (row) => row.pointId ?? '' },
  {
    title: 'CONSISTENCY',
    dropFirst: 3,
    cell: (row) => (row.pointId === undefined ? '' : consistencyCell(row.consistency)),
  },
  { title: 'READ', align: 'right', dropFirst: 4, cell: (row) => bytesCell(row.sizes.read) },
  { title: 'STORED', align: 'right', cell: (row) => bytesCell(row.sizes.stored) },
  { title: 'TIME', align: 'right', dropFirst: 1, cell: (row) => formatDuration(row.seconds) },
  { title: 'WHY', cell: (row) => row.why },
];

/** Kept of each record until the table of all of them: nothing that grows with disks. */
export function summaryRow(run: BackupRun, session: Session): SummaryRow {
  const { disks: _disks, ...record } = run;
  const codes = record.warnings.map(({ code }) => code);
  if (record.error !== undefined) codes.unshift(session.report(record.error).code);
  return { ...record, outcome: outcomeOf(record), why: [...new Set(codes)].join(', ') };
}

/** All VMs under each other, those that need attention first. */
export function summaryLines(rows: readonly SummaryRow[], width: number): string[] {
  const order: readonly Outcome[] = ['failed', 'warning', 'success'];
  const sorted = order.flatMap((outcome) => rows.filter((row) => row.outcome === outcome));
  const counts = order.map(
    (outcome) => [outcome, rows.filter((row) => row.outcome === outcome).length] as const,
  );
  const told = counts.filter(([, number]) => number > 0).map(([outcome, number]) => `${number} ${outcome}`);
  return [
    `${count(rows.length, 'VM')}: ${told.join(', ')}`,
    ...indented(tableLines(SUMMARY, sorted, width - 2)),
  ];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
