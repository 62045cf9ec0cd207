/** `hvlift replica list|show|settle|remove`: the replicas of this machine. */
import { Option, type Command } from '@commander-js/extra-typings';
import { consistencyText } from '../consistency-text.ts';
import { exitCodeOf, EXIT, worstOf } from '../exit-code.ts';
import { timeCell } from '../numbers.ts';
import { hostOption } from '../options.ts';
import type { ReplicaSummary } from '../replicate-port.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { stateFolderOf, stateOption } from './replicate.ts';

const ARGUMENT = ['<replica>', 'its id, the beginning of one, or the name of its VM'] as const;
const TEXTS = {
  cleaning: 'stopping; what is not on the target yet stays in the state folder',
  leftBehind: 'nothing is lost: run the command again',
};

export function registerReplica(program: Command, run: Runner): void {
  const replica = program
    .command('replica')
    .summary('the replicas of this machine')
    .description('The replicas whose state is on this machine: what they hold, and where.');
  registerList(replica, run);
  registerShow(replica, run);
  registerSettle(replica, run);
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
          `${removed.vm?.name ?? removed.id}: the replica is forgotten; what is on its target stays:`,
          ...removed.disks.map(({ place }) => `  ${place}`),
        ]);
        return EXIT.ok;
      }),
    );
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

function stateText({ phase, rehearsal, cutover }: ReplicaSummary): string {
  if (phase === undefined) return 'unreadable';
  if (cutover && cutover.step !== 'rolled-back')
    return cutover.step === 'committed' ? 'cut over' : `cutover: ${cutover.step}`;
  const rehearsed = rehearsal ? ', under rehearsal' : '';
  return `${{ seeding: 'seeding', idle: 'complete', staged: 'complete with its staging' }[phase]}${rehearsed}`;
}

function listLines(replicas: readonly ReplicaSummary[], session: Session): string[] {
  for (const { error } of replicas) if (error !== undefined) session.output.fault(session.report(error));
  if (replicas.length === 0) return ['no replica has its state here'];
  return tableLines(COLUMNS, replicas, session.output.width);
}

function detailLines(replica: ReplicaSummary): string[] {
  const { id, vm, target, generation, disks, folder, referencePoints = [] } = replica;
  const held = generation
    ? `generation ${generation.number} as of ${generation.time}, consistency ${consistencyText(generation.consistency)}`
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

function rehearsalLines({ vm, kept, rehearsal, rehearsed }: ReplicaSummary): string[] {
  const how = {
    runs: 'runs',
    kept: `was kept; end it with \`hvlift rehearse ${vm?.name} --end\``,
    left: `was left by a run that died; \`hvlift rehearse ${vm?.name} --end\` removes it`,
  };
  return [
    ...(kept ? [`  kept generations: ${kept.join(', ')}`] : []),
    ...(rehearsal
      ? [`  rehearsal since ${rehearsal.startedAt} in ${rehearsal.hypervisor}: ${how[rehearsal.state]}`]
      : []),
    ...(rehearsed
      ? [`  last rehearsed ${rehearsed.time}, generation ${rehearsed.generation}: ${rehearsed.result}`]
      : []),
  ];
}
