/** `hvlift status`: what a repository holds, whether it is encrypted, and where the next backup starts. */
import type { Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { RepositoryAccess, RepositoryStatus, Task } from '../engine.ts';
import { exitCodeOf, exitCodeOfOutcome, type ExitCode } from '../exit-code.ts';
import { count, timeCell } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { requestsText } from '../request-text.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { consistencyCell } from '../consistency-text.ts';
import type { JsonDocument } from '../json-document.ts';
import { verifiedText } from './verify.ts';

export function registerStatus(program: Command, run: Runner): void {
  program
    .command('status')
    .summary('show repositories, their VMs and latest restore points')
    .description(
      'Shows one repository, or every configured one: encryption, size, and each VM with its latest point.',
    )
    .addOption(repoOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const access = session.accessBy(await session.config());
        const all = access.repositories(options);
        const named = options.repo ?? session.io.env['HVLIFT_REPO'];
        const repositories = named === undefined && all.length > 0 ? all : [access.repository(options)];
        return session.inParts('repositories', (document, codes) =>
          session.perform(NOTHING_TO_CLEAN, async (task) => {
            for (const repository of repositories) {
              codes.push(await showRepository(session, repository, document, task));
            }
          }),
        );
      }),
    );
}

/** A repository that cannot be opened does not hide the others. */
async function showRepository(
  session: Session,
  repository: RepositoryAccess,
  document: JsonDocument,
  task: Task,
): Promise<ExitCode> {
  const { name, path } = repository;
  try {
    const { error, ...status } = await session.engine.repositoryStatus(repository, task);
    const report = error === undefined ? {} : { error: session.report(error) };
    await document.item({ name, path, ...status, ...report });
    await session.output.lines(statusLines(repository, status, session.output.width));
    for (const warning of status.warnings) session.output.warn(warning);
    if (report.error) session.output.fault(report.error);
    return exitCodeOfOutcome({ ...status, error });
  } catch (error) {
    task.signal.throwIfAborted();
    await document.item({ name, path, error: session.report(error) });
    await session.output.lines([`${name ?? path}: cannot be shown`]);
    session.output.fault(session.report(error));
    return exitCodeOf(error);
  }
}

type Row = RepositoryStatus['vms'][number];

const COLUMNS: readonly Column<Row>[] = [
  { title: 'VM', cell: (vm) => vm.name },
  { title: 'POINTS', align: 'right', cell: (vm) => String(vm.points) },
  { title: 'LATEST', cell: (vm) => timeCell(vm.latest.createdAt) },
  { title: 'CONSISTENCY', dropFirst: 3, cell: (vm) => consistencyCell(vm.latest.consistency) },
  { title: 'NEXT BACKUP', cell: nextBackup },
  {
    title: 'AUDITED WITHIN',
    dropFirst: 2,
    cell: (vm) => (vm.auditedWithin === undefined ? '' : count(vm.auditedWithin, 'run')),
  },
  {
    title: 'SUSPECT',
    align: 'right',
    cell: (vm) => (vm.suspectPoints ? String(vm.suspectPoints.length) : ''),
  },
  { title: 'ID', dropFirst: 1, cell: (vm) => vm.id },
];

/** With named consumers: which of them go on with increments. */
function nextBackup({ baselines }: Row): string {
  if (baselines.length === 0) return 'compare';
  const named = baselines.flatMap(({ consumer }) => consumer ?? []);
  return named.length === 0
    ? 'incremental'
    : `incremental for ${baselines.map(({ consumer }) => consumer ?? 'unnamed').join(', ')}`;
}

function statusLines({ name, path }: RepositoryAccess, status: RepositoryStatus, width: number): string[] {
  const { encryption, storedBytes, repositoryId, vms, verified } = status;
  const locked = encryption === 'none' ? 'NOT ENCRYPTED' : `encrypted with ${encryption}`;
  const where = name === undefined ? path : `${name} (${path})`;
  return [
    `${where}: ${locked}, ${formatBytes(storedBytes)} stored, ${count(vms.length, 'VM')}, repository ${repositoryId}`,
    `  ${verifiedText(verified)}`,
    ...(status.requests ? [`  this took ${requestsText(status.requests)}`] : []),
    ...(vms.length > 0 ? tableLines(COLUMNS, vms, width - 2).map((line) => `  ${line}`) : []),
  ];
}
