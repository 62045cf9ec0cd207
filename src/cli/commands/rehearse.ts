/** `hvlift rehearse REPLICA`: would it start? Its last generation does, on no network, and is thrown away. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import type { HealthProbe } from '../../hypervisors/index.ts';
import { CONVERSIONS } from '../choices.ts';
import { absolutePath } from '../config-path.ts';
import type { RehearsalRun } from '../../flows/index.ts';
import { EXIT, exitCodeOfOutcome } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import type { RehearseCall } from '../rehearse-port.ts';
import type { Runner, Session } from '../session.ts';
import { stateFolderOf, stateOption } from './replicate.ts';
import { memoryOption, noSecureBootOption } from './serve-machine.ts';

const COMMAND = 'hvlift rehearse';
const TEXTS = {
  cleaning: 'the machine of the rehearsal and its clone are being removed; the replica is as it was',
  leftBehind: 'the next rehearsal, or `hvlift replica list`, removes the machine and its clone',
};
const UNITS = { s: 1, m: 60, h: 3600 } as const;
const LIMIT_SECONDS = { serial: 600, port: 600, address: 600, running: 60 } as const;
const LIMIT_SECONDS_MAX = 24 * 3600;

interface RehearseOptions {
  readonly on: string;
  readonly generation?: number;
  readonly folder?: string;
  readonly untilSerial?: string;
  readonly untilPort?: number;
  readonly timeLimit?: number;
  readonly convert: RehearseCall['conversion'];
  readonly memory?: number;
  readonly secureBoot: boolean;
  readonly keep?: true;
  readonly end?: true;
  readonly state?: string;
}

export function registerRehearse(program: Command, run: Runner): void {
  program
    .command('rehearse')
    .summary('start a throw-away clone of a replica and see whether it is well')
    .description(
      'Starts a clone of the last complete generation on no network, waits for a sign that it is well, measures how long that ' +
        'takes, and removes it. Nothing is written to the replica, and replication goes on meanwhile.',
    )
    .argument('<replica>', 'its id, the beginning of one, or the name of its VM')
    .addOption(
      new Option(
        '--on <hypervisor>',
        'what runs it: qemu (QEMU of this machine), or libvirt:URI such as libvirt:qemu:///system',
      ).default('qemu'),
    )
    .addOption(
      new Option(
        '--generation <number>',
        'one that the target keeps, see `hvlift replica show`; default: the last',
      ).argParser(generationOf),
    )
    .addOption(
      new Option(
        '--folder <dir>',
        'for what its guest writes; libvirt must be able to reach it. Default: beside the state of the replica',
      ),
    )
    .addOption(
      new Option('--until-serial <text>', 'it is well once its guest wrote this to its first serial port'),
    )
    .addOption(
      new Option(
        '--until-port <port>',
        'it is well once this port of its guest answers, tcp:22; QEMU only, and the guest must take its address by DHCP',
      ).argParser(portOf),
    )
    .addOption(
      new Option(
        '--time-limit <time>',
        'how long that may take, 10m when left out; without a sign to wait for: how long it has to run, 1m',
      ).argParser(secondsOf),
    )
    .addOption(
      new Option(
        '--convert <kind>',
        'compatible: devices that guests have drivers for; none: virtio, for guests that have its drivers; virt-v2v-in-place: ' +
          'that program changes the clone so that it starts from virtio',
      )
        .choices(CONVERSIONS)
        .default('compatible' as const),
    )
    .addOption(memoryOption)
    .addOption(noSecureBootOption)
    .addOption(
      new Option('--keep', 'leave it running, to look at it; what cycles bring then waits until --end'),
    )
    .addOption(new Option('--end', 'remove one that was kept'))
    .addOption(stateOption)
    .action((replica, options) =>
      run(async (session) => {
        if (options.end) return end(session, replica, options);
        const call = callOf(session, replica, options);
        const record = await session.perform(TEXTS, (task) => session.engine.rehearse(call, task));
        await show(record, session);
        return exitCodeOfOutcome(record);
      }),
    );
}

async function end(session: Session, replica: string, options: RehearseOptions): Promise<typeof EXIT.ok> {
  const call = { replica, ...stateFolderOf(session, options) };
  const ended = await session.perform(TEXTS, (task) => session.engine.endRehearsal(call, task));
  await session.output.result(ended, () => [
    `${ended.vm.name}: the machine of the rehearsal of ${ended.rehearsal.startedAt} is removed, and its clone`,
  ]);
  return EXIT.ok;
}

function callOf(session: Session, replica: string, options: RehearseOptions): RehearseCall {
  const { io } = session;
  const path = (text: string): string => absolutePath(text, io.workingFolder, io.homeFolder);
  const { convert: conversion, memory, secureBoot, folder } = options;
  const probe = probeOf(options);
  return {
    replica,
    on: options.on.replace(/^qemu:(.+)$/s, (_all, root: string) => `qemu:${path(root)}`),
    ...(options.generation === undefined ? {} : { generation: options.generation }),
    ...(folder === undefined ? {} : { folder: path(folder) }),
    probe,
    limitSeconds: options.timeLimit ?? LIMIT_SECONDS[probe.kind],
    keep: options.keep === true,
    conversion,
    choices: { secureBoot, ...(memory === undefined ? {} : { memoryMiB: memory }) },
    ...stateFolderOf(session, options),
  };
}

function probeOf({ untilSerial, untilPort }: RehearseOptions): HealthProbe {
  if (untilSerial !== undefined && untilPort !== undefined)
    throw cliFaults.usage({ reason: '--until-serial and --until-port exclude each other', command: COMMAND });
  if (untilSerial === '') throw cliFaults.usage({ reason: '--until-serial is empty', command: COMMAND });
  if (untilPort !== undefined) return { kind: 'port', port: untilPort };
  return untilSerial === undefined ? { kind: 'running' } : { kind: 'serial', text: untilSerial };
}

function generationOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is the number of a generation.');
}

function portOf(text: string): number {
  const [, port] = /^tcp:(\d{1,5})$/.exec(text) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65_535) return Number(port);
  throw new InvalidArgumentError('It is tcp: and a port, such as tcp:22.');
}

function secondsOf(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const value = Number(number) * UNITS[unit as keyof typeof UNITS];
  if (value >= 1 && value <= LIMIT_SECONDS_MAX) return value;
  throw new InvalidArgumentError('It is a time such as 90s, 10m or 1h, up to 24h.');
}

async function show(record: RehearsalRun, session: Session): Promise<void> {
  const { error, ...facts } = record;
  const report = error === undefined ? undefined : session.report(error);
  await session.output.result({ ...facts, ...(report ? { error: report } : {}) }, () => lines(record));
  for (const warning of record.warnings) session.output.warn(warning);
  if (report) session.output.fault(report);
}

function lines({
  vm,
  generation,
  asOf,
  result,
  reason,
  hypervisor,
  seconds,
  kept,
  probe,
}: RehearsalRun): string[] {
  const verdict = {
    healthy: 'is well',
    unhealthy: 'is not well',
    failed: 'did not start',
    cancelled: 'was cancelled',
  };
  const why = reason === undefined ? '' : `: ${reason}`;
  const part = (name: string, value: number | undefined): string[] =>
    value === undefined ? [] : [`${name} ${value.toFixed(1)} s`];
  const times = [
    ...part('clone', seconds.clone),
    ...part('defined and started', seconds.start),
    ...part(`waiting for ${probe}`, seconds.health),
  ];
  return [
    `${vm.name}: generation ${generation}, as of ${asOf}, ${verdict[result]}${why}`,
    `  in ${hypervisor}`,
    `  ${times.join(', ')}`,
    ...(kept
      ? [
          `  kept: machine ${kept.machine}, its files in ${kept.folder}; end it with \`${COMMAND} ${vm.name} --end\``,
        ]
      : []),
  ];
}
