/** `hvlift replica list|show|settle|roll|remove`: the replicas of this machine. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatDuration } from '../../base/index.ts';
import type { RollRecord } from '../../flows/index.ts';
import type { RepositoryOptions } from '../access.ts';
import { consistencyText } from '../consistency-text.ts';
import { exitCodeOf, EXIT, worstOf } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { bytesCell, timeCell } from '../numbers.ts';
import {
  hostOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import type { ReplicaSummary, RollReplicaCall } from '../replicate-port.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { stateFolderOf, stateOption } from './replicate.ts';

const ARGUMENT = ['<replica>', 'its id, the beginning of one, or the name of its VM'] as const;
const TEXTS = {
  cleaning: 'stopping; what is not on the target yet stays in the state folder',
  leftBehind: 'nothing is lost: run the command again',
};

const ROLL_TEXTS = {
  cleaning: 'stopping; the replica stays at the one moment or goes to the other, never in between',
  leftBehind: 'nothing is lost: `hvlift replica settle` finishes what was begun',
};

export function registerReplica(program: Command, run: Runner): void {
  const replica = program
    .command('replica')
    .summary('the replicas of this machine')
    .description('The replicas whose state is on this machine: what they hold, and where.');
  registerList(replica, run);
  registerShow(replica, run);
  registerSettle(replica, run);
  registerRoll(replica, run);
  registerRemove(replica, run);
}

function registerList(replica: Command, run: Runner): void {
  replica
    .command('list')
    .summary('list them')
    .description(
      'Lists the replicas of this machine with their last complete generations, and removes what a rehearsal left that was killed.',
    )
    .addOption(stateOption)
    .action((options) =>
      run(async (session) => {
        const replicas = await session.perform(TEXTS, (task) =>
          session.engine.replicas(stateFolderOf(session, options), task),
        );
        const listed = replicas.map((each) => jsonOf(each, session));
        await session.output.result({ replicas: listed }, () => listLines(replicas, session));
        return worstOf(replicas.flatMap(({ error }) => (error === undefined ? [] : [exitCodeOf(error)])));
      }),
    );
}

function registerShow(replica: Command, run: Runner): void {
  replica
    .command('show')
    .summary('show one: its disks, and what the host remembers for it')
    .description(
      'Shows one replica: its generation, where its disks are, and what the host remembers for it.',
    )
    .argument(...ARGUMENT)
    .addOption(stateOption)
    .action((name, options) =>
      run(async (session) => {
        const found = await session.perform(TEXTS, (task) =>
          session.engine.showReplica({ replica: name, ...stateFolderOf(session, options) }, task),
        );
        await session.output.result(found, () => detailLines(found));
        return EXIT.ok;
      }),
    );
}

function registerSettle(replica: Command, run: Runner): void {
  replica
    .command('settle')
    .summary('finish what a cycle that died left')
    .description(
      'Finishes what a cycle that died left: afterwards what is on the target alone is the last complete generation, to be ' +
        'started or copied. Needs no host. Every cycle begins with it.',
    )
    .argument(...ARGUMENT)
    .addOption(stateOption)
    .action((name, options) =>
      run(async (session) => {
        const settled = await session.perform(TEXTS, (task) =>
          session.engine.settleReplica({ replica: name, ...stateFolderOf(session, options) }, task),
        );
        await session.output.result(settled, () => detailLines(settled));
        return EXIT.ok;
      }),
    );
}

function registerRemove(replica: Command, run: Runner): void {
  replica
    .command('remove')
    .summary('forget one; what is on its target stays')
    .description(
      'Destroys what the host remembers for the replica and forgets it. What is on its target stays as it is.',
    )
    .argument(...ARGUMENT)
    .addOption(hostOption)
    .addOption(
      new Option(
        '--keep-mark',
        'do not ask the host: the reference point stays there, for a host that is gone',
      ),
    )
    .addOption(stateOption)
    .action((name, options) =>
      run(async (session) => {
        const host = options.keepMark ? {} : { host: await session.host(options.host) };
        const call = { replica: name, ...host, ...stateFolderOf(session, options) };
        const removed = await session.perform(TEXTS, (task) => session.engine.removeReplica(call, task));
        await session.output.result(removed, () => [
          `${removed.vm?.name ?? removed.id}: the replica is forgotten${removed.disks.length > 0 ? '; what is on its target stays:' : ', of which nothing was written'}`,
          ...removed.disks.map(({ place }) => `  ${place}`),
        ]);
        return EXIT.ok;
      }),
    );
}

function registerRoll(replica: Command, run: Runner): void {
  replica
    .command('roll')
    .summary('make one another moment of its VM')
    .description(
      'Makes the replica another moment of its VM, back or forward: a restore point, of which only what differs is read and ' +
        'written where the replica goes through that repository; or an earlier generation that the target keeps. Needs no host. ' +
        'The next cycle brings the replica up to date again: stop `hvlift replicate --every` first.',
    )
    .argument(...ARGUMENT)
    .addOption(new Option('--point <point>', 'the restore point: its id, the beginning of one, or latest'))
    .addOption(
      new Option('--generation <number>', 'one that the target keeps, see `hvlift replica show`').argParser(
        generationNumber,
      ),
    )
    .addOption(stateOption)
    .addOption(repoOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((name, options) =>
      run(async (session) => {
        const call = {
          replica: name,
          to: await rollTarget(name, options, session),
          ...stateFolderOf(session, options),
        };
        const record = await session.perform(ROLL_TEXTS, (task) => session.engine.rollReplica(call, task));
        await session.output.result(record, () => rollLines(record));
        for (const warning of record.warnings) session.output.warn(warning);
        return record.warnings.length > 0 ? EXIT.warnings : EXIT.ok;
      }),
    );
}

interface RollOptions extends RepositoryOptions {
  readonly point?: string | undefined;
  readonly generation?: number | undefined;
}

async function rollTarget(
  name: string,
  { point, generation, ...options }: RollOptions,
  session: Session,
): Promise<RollReplicaCall['to']> {
  const command = 'hvlift replica roll';
  if (point !== undefined && generation === undefined) {
    const selector = pointSelector(point, point === 'latest' ? name : undefined, command);
    return { repository: await session.repository(options), point: selector };
  }
  if (generation !== undefined && point === undefined) return { generation };
  throw cliFaults.usage({ reason: 'it goes to a --point or to a --generation: name one of them', command });
}

function generationNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is the number of a generation.');
}

function rollLines({ vm, generation, asOf, point, rolledTo, disks, seconds }: RollRecord): string[] {
  const what = rolledTo === undefined ? `restore point ${point}` : `generation ${rolledTo} again`;
  return [
    `${vm.name}: generation ${generation} is ${what}, as of ${asOf}, in ${formatDuration(seconds)}`,
    ...disks.map(
      ({ place, kind, readBytes, writtenBytes, zeroedBytes }) =>
        `  ${place}: ${kind}, ${bytesCell(readBytes)} read, ${bytesCell(writtenBytes)} written, ${bytesCell(zeroedBytes)} zeroed`,
    ),
  ];
}

function jsonOf(replica: ReplicaSummary, session: Session): Readonly<Record<string, unknown>> {
  const { error, ...facts } = replica;
  return { ...facts, ...(error === undefined ? {} : { error: session.report(error) }) };
}

const COLUMNS: readonly Column<ReplicaSummary>[] = [
  { title: 'REPLICA', cell: (row) => row.id },
  { title: 'VM', cell: (row) => row.vm?.name ?? '' },
  { title: 'GENERATION', align: 'right', cell: (row) => String(row.generation?.number ?? '') },
  { title: 'AS OF', cell: (row) => (row.generation ? timeCell(row.generation.time) : '') },
  { title: 'STATE', dropFirst: 1, cell: (row) => stateText(row) },
  { title: 'TARGET', dropFirst: 2, cell: (row) => row.target ?? '' },
];

const PHASES: Record<NonNullable<ReplicaSummary['phase']>, string> = {
  seeding: 'seeding',
  idle: 'complete',
  staged: 'complete with its staging',
  rolling: 'complete with what the target keeps of it',
};

function stateText({ phase, rehearsal, cutover }: ReplicaSummary): string {
  if (phase === undefined) return 'unreadable';
  if (cutover && cutover.step !== 'rolled-back')
    return cutover.step === 'committed' ? 'cut over' : `cutover: ${cutover.step}`;
  const rehearsed = rehearsal ? ', under rehearsal' : '';
  return `${PHASES[phase]}${rehearsed}`;
}

function listLines(replicas: readonly ReplicaSummary[], session: Session): string[] {
  for (const { error } of replicas) if (error !== undefined) session.output.fault(session.report(error));
  if (replicas.length === 0) return ['no replica has its state here'];
  return tableLines(COLUMNS, replicas, session.output.width);
}

function detailLines(replica: ReplicaSummary): string[] {
  const { id, vm, target, generation, disks, folder, referencePoints = [] } = replica;
  const held = generation
    ? `generation ${generation.number}${originText(generation)} as of ${generation.time}, consistency ${consistencyText(generation.consistency)}`
    : 'no complete generation yet';
  return [
    `replica ${id} of ${vm?.name} (${vm?.id})`,
    `  target: ${target}`,
    `  ${held}; ${stateText(replica)}`,
    ...disks.map(
      ({ number, id: diskId, place, inGeneration }) =>
        `  disk ${number} ${diskId}: ${place}${inGeneration ? '' : ' (not part of the generation)'}`,
    ),
    `  reference points on the host: ${referencePoints.join(', ') || 'none'}`,
    ...rehearsalLines(replica),
    `  state: ${folder}`,
  ];
}

function originText({ point, rolledTo }: NonNullable<ReplicaSummary['generation']>): string {
  if (rolledTo !== undefined) return `, which is ${rolledTo} again,`;
  return point === undefined ? '' : `, restore point ${point},`;
}

function keptText({ number, time }: NonNullable<ReplicaSummary['kept']>[number]): string {
  return `${number} (${timeCell(time)})`;
}

function rehearsalLines({ vm, kept, rehearsal, rehearsed }: ReplicaSummary): string[] {
  const how = {
    runs: 'runs',
    kept: `was kept; end it with \`hvlift rehearse ${vm?.name} --end\``,
    left: `was left by a run that died; \`hvlift rehearse ${vm?.name} --end\` removes it`,
  };
  return [
    ...(kept ? [`  kept generations: ${kept.map(keptText).join(', ')}`] : []),
    ...(rehearsal
      ? [`  rehearsal since ${rehearsal.startedAt} in ${rehearsal.hypervisor}: ${how[rehearsal.state]}`]
      : []),
    ...(rehearsed
      ? [`  last rehearsed ${rehearsed.time}, generation ${rehearsed.generation}: ${rehearsed.result}`]
      : []),
  ];
}
