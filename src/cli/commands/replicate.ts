/** `hvlift replicate VM`: a VM kept up to date somewhere else, a generation at a time. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatDuration, hasCode, parseBytes } from '../../base/index.ts';
import { absolutePath } from '../config-path.ts';
import { consistencyText } from '../consistency-text.ts';
import { CONSISTENCIES } from '../engine.ts';
import { exitCodeOfOutcome, outcomeOf } from '../exit-code.ts';
import { bytesCell, ratePerSecond } from '../numbers.ts';
import {
  hostOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import type { RepositoryOptions } from '../access.ts';
import { cliFaults } from '../faults.ts';
import type { ReplicaSeed, ReplicateCall, ReplicateRun } from '../replicate-port.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { consumerName, rate } from './backup-request.ts';

const COMMAND = 'hvlift replicate';
const TEXTS = {
  cleaning: 'removing the recovery checkpoint of this cycle; the replica stays at its last generation',
  leftBehind:
    'a recovery checkpoint may stay on the host until the next cycle removes it; the replica stays at its last generation',
};
const SECONDS = { s: 1, m: 60, h: 3600 } as const;
/** A checkpoint and its merge take some seconds of the host's work each time. */
const EVERY_SECONDS_MIN = 10;
const EVERY_SECONDS_MAX = 7 * 24 * 3600;
/** Each is a file a disk, and a folder that every cycle looks through. */
const KEEP_MAX = 1000;

export const stateOption = new Option(
  '--state <dir>',
  'folder for the state of replicas; default: that of this machine',
);

interface ReplicateOptions extends RepositoryOptions {
  readonly to: string;
  readonly host?: string;
  readonly every?: number;
  readonly keep?: number;
  readonly seed?: string;
  readonly via?: string;
  readonly consumer?: string;
  readonly rate?: number;
  readonly consistency?: ReplicateCall['consistency'];
  readonly skipUnprotectable?: true;
  readonly state?: string;
}

export function registerReplicate(program: Command, run: Runner): void {
  program
    .command('replicate')
    .summary('keep a copy of a VM up to date somewhere else')
    .description(
      'Brings the VM as it is now to a target: all of it the first time, then only what changed. All disks of a generation ' +
        'switch together; whatever dies on the way, the replica stays at its last complete generation.',
    )
    .argument('<vm>', 'VM by name or id')
    .addOption(
      new Option(
        '--to <target>',
        'dir:FOLDER, dir:FOLDER?format=vhdx, or an NBD export a disk: nbd://HOST/name-{n}, nbds://…, nbd+unix:///name-{n}?socket=PATH',
      ).makeOptionMandatory(),
    )
    .addOption(hostOption)
    .addOption(
      new Option('--every <interval>', 'a cycle each 5m, 30s or 1h, until Ctrl-C; default: one').argParser(
        seconds,
      ),
    )
    .addOption(
      new Option(
        '--keep <n>',
        'how many generations to keep on the target, where its files can share blocks (dir: on XFS, Btrfs); default: the last one only',
      ).argParser(keepOf),
    )
    .addOption(
      new Option(
        '--seed <what>',
        'existing: the target has a copy, write only differences; or a restore point (its id, or latest) to write first',
      ),
    )
    .addOption(
      new Option(
        '--via <repository>',
        'go through this repository, named as for --repo: each cycle is a restore point there, and the replica can be rolled to any of them',
      ),
    )
    .addOption(
      new Option(
        '--consumer <name>',
        'with --via: use and renew the baselines of this policy there, beside those of others',
      ).argParser(consumerName),
    )
    .addOption(
      new Option('--rate <size>', 'read at most this much a second from the host, such as 200MiB').argParser(
        rate,
      ),
    )
    .addOption(
      new Option(
        '--consistency <level>',
        'what the guest must be asked for; default: application-preferred',
      ).choices(CONSISTENCIES),
    )
    .addOption(
      new Option(
        '--skip-unprotectable',
        'leave out disks that cannot be captured (pass-through, shared, VHD set) instead of refusing the VM',
      ),
    )
    .addOption(stateOption)
    .addOption(repoOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((vm, options) =>
      run(async (session) => {
        const call = await callOf(session, vm, options);
        return session.inParts('cycles', (document, codes) =>
          session.perform(TEXTS, async (task) => {
            for await (const record of session.engine.replicate(call, task)) {
              codes.push(exitCodeOfOutcome(record));
              await document.item(jsonRecord(record, session));
              await show(record, session);
            }
          }),
        );
      }),
    );
}

async function callOf(session: Session, vm: string, options: ReplicateOptions): Promise<ReplicateCall> {
  refuseContradictions(options);
  const seed = await seedOf(session, vm, options);
  const bytesPerSecond = options.rate ?? (await defaultRate(session));
  return {
    host: await session.host(options.host),
    vm,
    target: targetOf(session, options.to),
    ...(seed === undefined ? {} : { seed }),
    ...(options.via === undefined
      ? {}
      : { via: await session.repository({ ...options, repo: options.via }) }),
    ...(options.consumer === undefined ? {} : { consumer: options.consumer }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(options.every === undefined ? {} : { everySeconds: options.every }),
    ...(options.keep === undefined ? {} : { keep: options.keep }),
    ...(options.consistency === undefined ? {} : { consistency: options.consistency }),
    skipUnprotectable: options.skipUnprotectable === true,
    ...stateFolderOf(session, options),
  };
}

/** As of a backup. */
async function defaultRate(session: Session): Promise<number | undefined> {
  const { config } = await session.config();
  return config.defaults?.rate === undefined ? undefined : parseBytes(config.defaults.rate);
}

function refuseContradictions({ via, seed, consumer }: ReplicateOptions): void {
  const refuse = (reason: string): never => {
    throw cliFaults.usage({ reason, command: COMMAND });
  };
  if (via !== undefined && seed !== undefined && seed !== 'existing')
    refuse('--via brings the whole restore point to a new target; --seed names none beside it');
  if (via === undefined && consumer !== undefined)
    refuse('--consumer is of a repository: it goes with --via');
}

/** Paths of targets are absolute: the same folder is the same replica, wherever the command runs. */
function targetOf({ io }: Session, text: string): string {
  const [, path, query] = /^dir:([^?]+)(.*)$/s.exec(text) ?? [];
  return path === undefined ? text : `dir:${absolutePath(path, io.workingFolder, io.homeFolder)}${query}`;
}

export function stateFolderOf(
  { io }: Session,
  { state }: { readonly state?: string },
): { stateFolder?: string } {
  return state === undefined ? {} : { stateFolder: absolutePath(state, io.workingFolder, io.homeFolder) };
}

async function seedOf(
  session: Session,
  vm: string,
  options: ReplicateOptions,
): Promise<ReplicaSeed | undefined> {
  const { seed } = options;
  if (seed === undefined || seed === 'existing') return seed;
  return {
    repository: await session.repository(options),
    point: pointSelector(seed, seed === 'latest' ? vm : undefined, COMMAND),
  };
}

function keepOf(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= KEEP_MAX) return value;
  throw new InvalidArgumentError(`It is a whole number from 1 to ${KEEP_MAX}.`);
}

function seconds(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const value = Number(number) * SECONDS[unit as keyof typeof SECONDS];
  if (value >= EVERY_SECONDS_MIN && value <= EVERY_SECONDS_MAX) return value;
  throw new InvalidArgumentError('It is an interval such as 30s, 5m or 1h, from 10s to 168h.');
}

function jsonRecord(record: ReplicateRun, session: Session): Readonly<Record<string, unknown>> {
  const { error, ...facts } = record;
  const verdict = { outcome: outcomeOf(record), exitCode: exitCodeOfOutcome(record) };
  return { ...facts, ...verdict, ...(error === undefined ? {} : { error: session.report(error) }) };
}

type Row = ReplicateRun['disks'][number];

const COLUMNS: readonly Column<Row>[] = [
  { title: 'DISK', cell: (row) => row.place },
  { title: 'KIND', cell: (row) => row.kind },
  { title: 'VIRTUAL', align: 'right', dropFirst: 3, cell: (row) => bytesCell(row.virtualBytes) },
  { title: 'READ', align: 'right', cell: (row) => bytesCell(row.readBytes) },
  { title: 'WRITTEN', align: 'right', cell: (row) => bytesCell(row.writtenBytes) },
  { title: 'ZEROED', align: 'right', dropFirst: 2, cell: (row) => bytesCell(row.zeroedBytes) },
  { title: 'MB/s', align: 'right', dropFirst: 4, cell: (row) => ratePerSecond(row.readBytes, row.seconds) },
  { title: 'WHY', dropFirst: 1, cell: (row) => row.reason },
];

async function show(record: ReplicateRun, session: Session): Promise<void> {
  const rows = tableLines(COLUMNS, record.disks, session.output.width - 2).map((line) => `  ${line}`);
  const leftOut = record.leftOut?.map(({ path, why }) => `  ${path} is left out: ${why}`) ?? [];
  const lines = [
    headline(record),
    ...pointLines(record),
    ...(record.disks.length > 0 ? rows : []),
    ...leftOut,
  ];
  await session.output.lines(lines);
  for (const warning of record.warnings) session.output.warn(warning);
  if (record.error !== undefined) session.output.fault(session.report(record.error));
  if (record.nextInSeconds !== undefined)
    await session.output.lines([`${record.vm.name}: tried again in ${formatDuration(record.nextInSeconds)}`]);
}

function pointLines({ point }: ReplicateRun): string[] {
  if (!point) return [];
  const { id, repository, readBytes, storedBytes } = point;
  const figures = `${bytesCell(readBytes)} read from the host, ${bytesCell(storedBytes)} stored`;
  return [`  restore point ${id} in ${repository}: ${figures}`];
}

function headline(run: ReplicateRun): string {
  const { vm, generation, consistency, seconds: took, startedAt, resumed } = run;
  if (hasCode(run.error, 'REPLICA_REHEARSED'))
    return `${vm.name}: the cycle waits for the end of a rehearsal`;
  if (generation === undefined || !consistency)
    return `${vm.name}: the cycle failed; the replica stays at its last complete generation`;
  const first = resumed ? ' (what an earlier cycle left was finished first)' : '';
  return `${vm.name}: generation ${generation}, as of ${startedAt}, in ${formatDuration(took)}, consistency ${consistencyText(consistency)}${first}`;
}
