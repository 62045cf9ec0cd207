/** `hvlift backup VM...`: a restore point of each VM, full or incremental, disk by disk. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, formatDuration, parseBytes } from '../../base/index.ts';
import { CONSISTENCIES, type BackupRun, type BackupRequest, type Sizes } from '../engine.ts';
import { exitCodeOfOutcome, type ExitCode } from '../exit-code.ts';
import type { JsonDocument } from '../json-document.ts';
import { count, ratePerSecond } from '../numbers.ts';
import { hostOption, passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import type { Runner, Session } from '../session.ts';
import { sizeColumns } from '../size-columns.ts';
import { tableLines, type Column } from '../table.ts';

const TEXTS = {
  cleaning:
    'removing the recovery checkpoint of this run and dropping what it stored without a restore point',
  leftBehind:
    'a recovery checkpoint may stay on the host and its AVHDX grows until the next backup of the VM removes it',
};

export function registerBackup(program: Command, run: Runner): void {
  program
    .command('backup')
    .summary('back up VMs')
    .description(
      'Makes a restore point of each VM. Where the host can tell what changed since the last one, only that is read. ' +
        'A VM that fails does not stop the others.',
    )
    .argument('<vm...>', 'VMs by name or id')
    .addOption(repoOption)
    .addOption(hostOption)
    .addOption(new Option('--full', 'read every disk whole'))
    .addOption(
      new Option(
        '--consistency <level>',
        'what the guest must be asked for; default: application-preferred',
      ).choices(CONSISTENCIES),
    )
    .addOption(
      new Option(
        '--skip-unprotectable',
        'leave out disks that cannot be backed up (pass-through, shared, VHD) instead of refusing the VM',
      ),
    )
    .addOption(
      new Option(
        '--audit <amount>',
        'how much that the host did not report is compared in an increment: a size, a percentage or off; default: 0.1% of each disk, at least 64 MiB',
      ).argParser(auditBudget),
    )
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((vms, options) =>
      run(async (session) => {
        const file = await session.config();
        const access = session.accessBy(file);
        const request = {
          host: access.host(options.host),
          repository: access.repository(options),
          vms,
          full: options.full === true,
          skipUnprotectable: options.skipUnprotectable === true,
          ...(options.audit === undefined ? {} : { audit: options.audit }),
          consistency: options.consistency ?? file.config.defaults?.consistency ?? 'application-preferred',
        };
        return session.inParts('runs', (document, codes) => backup(session, request, document, codes));
      }),
    );
}

/** `64MiB`, `0.5%` or `off`. */
function auditBudget(text: string): NonNullable<BackupRequest['audit']> {
  if (text === 'off') return text;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) > 0 && Number(percent) <= 100)
    return { percent: Number(percent) };
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0)
    throw new InvalidArgumentError('It is a size such as 64MiB, a percentage such as 0.5%, or off.');
  return { bytes };
}

async function backup(
  session: Session,
  request: BackupRequest,
  document: JsonDocument,
  codes: ExitCode[],
): Promise<void> {
  await session.perform(TEXTS, async (task, endPhase) => {
    for await (const record of session.engine.backup(request, task)) {
      endPhase();
      const exitCode = exitCodeOfOutcome(record);
      codes.push(exitCode);
      await document.item(jsonRecord(record, exitCode, session));
      await show(record, session);
    }
  });
}

function jsonRecord(
  record: BackupRun,
  exitCode: ExitCode,
  session: Session,
): Readonly<Record<string, unknown>> {
  const { error, ...facts } = record;
  return { ...facts, exitCode, ...(error === undefined ? {} : { error: session.report(error) }) };
}

async function show(record: BackupRun, session: Session): Promise<void> {
  await session.output.lines([headline(record), ...diskLines(record, session.output.width)]);
  for (const warning of record.warnings) session.output.warn(warning);
  if (record.error !== undefined) session.output.fault(session.report(record.error));
}

function headline({ vm, pointId, consistency, seconds, error }: BackupRun): string {
  if (pointId === undefined) return `${vm.name}: failed, no restore point was made`;
  const { asked, reached, reason } = consistency;
  const why = reason === undefined ? '' : `; ${reason}`;
  const state = error === undefined ? '' : ', then an error';
  return `${vm.name}: restore point ${pointId} in ${formatDuration(seconds)}, consistency ${reached ?? 'unknown'} (asked: ${asked}${why})${state}`;
}

interface Row {
  readonly disk: string;
  readonly kind: string;
  readonly sizes: Sizes;
  readonly seconds: number;
  readonly audit: string;
  readonly reason: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'DISK', cell: (row) => row.disk },
  { title: 'KIND', cell: (row) => row.kind },
  ...sizeColumns<Row>((row) => row.sizes),
  { title: 'MB/s', align: 'right', dropFirst: 5, cell: (row) => ratePerSecond(row.sizes.read, row.seconds) },
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
