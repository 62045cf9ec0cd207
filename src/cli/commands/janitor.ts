/** `hvlift janitor`: what runs left on a host, found and removed; chains, room and what others left, shown. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { JanitorVm } from '../engine.ts';
import { exitCodeOf, exitCodeOfOutcome, EXIT, type ExitCode } from '../exit-code.ts';
import type { JsonDocument } from '../json-document.ts';
import { bytesCell, count } from '../numbers.ts';
import { hostOption, passphraseFileOption, recoveryKeyFileOption } from '../options.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { stateFolderOf, stateOption } from './replicate.ts';

const TEXTS = {
  cleaning: 'finishing the removal under way; merges go on by themselves',
  leftBehind: 'what was not reached yet stays; run the command again',
};
const MERGE_MINUTES = 60;
const MERGE_MINUTES_MAX = 7 * 24 * 60;

interface JanitorOptions {
  readonly host?: string;
  readonly repo?: string;
  readonly dryRun?: true;
  readonly byHand?: true;
  readonly mergeMinutes?: number;
  readonly state?: string;
  readonly passphraseFile?: string;
  readonly recoveryKeyFile?: string;
}

export function registerJanitor(program: Command, run: Runner): void {
  program
    .command('janitor')
    .summary('remove what runs left on a host, and show what gathers there')
    .description(
      'Looks at every VM of the host, or of every node of its cluster: removes checkpoints and reference points that runs of the ' +
        'configured repositories and the replicas of this machine left, watches merges to their end, and shows chains, AVHDX files, free space and what others left.',
    )
    .addOption(hostOption)
    .addOption(
      new Option('-r, --repo <repository>', 'only what runs of this repository left; default: of every one'),
    )
    .addOption(new Option('--dry-run', 'show what would be done, and change nothing'))
    .addOption(
      new Option(
        '--by-hand',
        'also remove checkpoints of `hvlift rct`; nothing tells whether they are in use',
      ),
    )
    .addOption(
      new Option('--merge-minutes <minutes>', 'wait so long for the merges of a VM; default: 60').argParser(
        minutes,
      ),
    )
    .addOption(stateOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run((session) => session.inParts('vms', (document, codes) => tidy(session, options, document, codes))),
    );
}

async function tidy(
  session: Session,
  options: JanitorOptions,
  document: JsonDocument,
  codes: ExitCode[],
): Promise<void> {
  const { output } = session;
  const call = {
    host: await session.host(options.host),
    repositories: await session.repositories(options),
    dryRun: options.dryRun === true,
    byHand: options.byHand === true,
    mergeMinutes: options.mergeMinutes ?? MERGE_MINUTES,
    ...stateFolderOf(session, options),
    remark: (warning: Parameters<typeof output.remark>[0]): void => {
      output.remark(warning);
      codes.push(EXIT.warnings);
    },
  };
  const seen: JanitorVm[] = [];
  await session.perform(TEXTS, async (task) => {
    for await (const vm of session.engine.janitor(call, task)) {
      const { error, ...facts } = vm;
      await document.item(error === undefined ? facts : { ...facts, error: session.report(error) });
      codes.push(error === undefined ? exitCodeOfOutcome(vm) : exitCodeOf(error));
      for (const warning of vm.warnings) output.warn(warning);
      if (error !== undefined) output.fault(session.report(error));
      seen.push(vm);
    }
  });
  await output.lines(tableLines(COLUMNS, seen, output.width));
  await output.lines(doneLines(seen, call.dryRun));
}

/** Cells of a VM that could be looked at. */
function cell(of: (found: NonNullable<JanitorVm['found']>) => string): (vm: JanitorVm) => string {
  return ({ found }) => (found ? of(found) : '?');
}

const COLUMNS: readonly Column<JanitorVm>[] = [
  { title: 'VM', cell: ({ vm }) => vm.name },
  { title: 'CHAIN', align: 'right', cell: cell(({ chainFiles }) => String(chainFiles)) },
  { title: 'AVHDX', align: 'right', cell: cell((found) => bytesCell(found.avhdxBytes)) },
  { title: 'MERGE', cell: cell(({ merge, avhdxFiles }) => (avhdxFiles === 0 ? '' : merge)) },
  {
    title: 'FREE',
    cell: cell(({ volumes }) => volumes.map(({ name, free }) => `${name} ${formatBytes(free)}`).join(', ')),
  },
  { title: 'OURS', cell: cell((found) => told(found, isOurs)) },
  { title: 'OTHERS', cell: cell((found) => told(found, (state) => !isOurs(state))) },
  {
    title: 'MARKS',
    dropFirst: 1,
    cell: cell(marksText),
  },
];

type State = NonNullable<JanitorVm['found']>['checkpoints'][number]['state'];

function isOurs(state: State): boolean {
  return state !== 'foreign' && state !== 'owner-unknown';
}

/** `1 removed`, `2 user` */
function told({ checkpoints }: NonNullable<JanitorVm['found']>, wanted: (state: State) => boolean): string {
  const words = checkpoints
    .filter(({ state }) => wanted(state))
    .map(({ state, kind }) => (state === 'foreign' ? kind : state));
  return [...new Set(words)]
    .map((word) => `${words.filter((each) => each === word).length} ${word}`)
    .join(', ');
}

/** Reference points by who goes on from them: `main 1, replica 1, others 2`. */
function marksText({ marks, otherReferencePoints }: NonNullable<JanitorVm['found']>): string {
  const owners = marks.map(({ owner }) =>
    owner.kind === 'repository' ? owner.name : owner.kind.replaceAll('-', ' '),
  );
  const counts = [...new Set(owners)].map((name): [string, number] => [
    name,
    owners.filter((each) => each === name).length,
  ]);
  if (otherReferencePoints > 0) counts.push(['others', otherReferencePoints]);
  return counts.map(([name, number]) => `${name} ${number}`).join(', ');
}

function doneLines(vms: readonly JanitorVm[], dryRun: boolean): string[] {
  const all = vms.flatMap(({ found }) => found?.checkpoints ?? []);
  const gone = all.filter(({ state }) => state === (dryRun ? 'left-over' : 'removed')).length;
  const marks = vms.flatMap(({ found }) => found?.removedReferencePoints ?? []).length;
  const what = `${count(gone, 'checkpoint')} and ${count(marks, 'reference point')}`;
  return [dryRun ? `${what} would be removed; nothing was changed` : `${what} removed`];
}

function minutes(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= MERGE_MINUTES_MAX) return number;
  throw new InvalidArgumentError(`It is a number from 1 to ${MERGE_MINUTES_MAX}.`);
}
