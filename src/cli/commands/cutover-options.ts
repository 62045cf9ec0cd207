/** The options of `hvlift cutover`, and what they mean together. */
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { parseBytes } from '../../base/index.ts';
import type { HealthProbe } from '../../hypervisors/index.ts';
import type { CutoverChoices } from '../../flows/index.ts';
import { CONVERSIONS, CUTOVER_VERIFIES } from '../choices.ts';
import { absolutePath } from '../config-path.ts';
import type { CutoverCall, CutoverWishes } from '../cutover-port.ts';
import { cliFaults } from '../faults.ts';
import type { Session } from '../session.ts';
import { machineChoices, type MachineOptions } from './serve-machine.ts';

const COMMAND = 'hvlift cutover';
const UNITS = { s: 1, m: 60, h: 3600 } as const;
const SECONDS_MAX = 24 * 3600;

export const onOption = new Option(
  '--on <hypervisor>',
  'what runs the VM afterwards: qemu (QEMU of this machine), qemu:DIR, or libvirt:URI such as libvirt:qemu:///system',
);
export const folderOption = new Option(
  '--folder <dir>',
  'folder for the disks it writes to, a clone over those of the replica; default: cutovers in the folder for the state of replicas',
);
export const planOption = new Option(
  '--plan',
  'show what would be done and how long it takes, and end there',
);
export const yesOption = new Option(
  '--yes',
  'do not ask whether the plan is agreed to, or whether what was written on the other side may be lost',
);
export const deltaTargetOption = new Option(
  '--delta-target <size>',
  'run cycles before the shutdown until one changes no more than this',
)
  .argParser(bytes)
  .default(64 * 1024 ** 2, '64MiB');
export const maxPrecopyOption = new Option('--max-precopy <number>', 'so many of these cycles at most')
  .argParser(count)
  .default(5);
export const shutdownTimeOption = new Option(
  '--shutdown-time <time>',
  'how long its guest may take to shut down',
)
  .argParser(seconds)
  .default(300, '5m');
export const forceOption = new Option(
  '--force',
  'shut the guest down although somebody is logged on, and pull its cable when its time is over',
);
export const verifyOption = new Option(
  '--verify <how>',
  'compare the replica with the source once that is off: sample (what changed last, and pieces of the rest), full, none',
)
  .choices(CUTOVER_VERIFIES)
  .default('sample' as const);
export const skipUnprotectableOption = new Option(
  '--skip-unprotectable',
  'go without disks that cannot be captured (pass-through, shared, VHD set), as the replica does',
);
export const convertOption = new Option(
  '--convert <how>',
  'none: virtio, for guests that have its drivers; compatible: devices every guest has drivers for; virt-v2v-in-place: give the clone the drivers',
)
  .choices(CONVERSIONS)
  .default('compatible' as const);
export const untilSerialOption = new Option(
  '--until-serial <text>',
  'it is well when its guest wrote this to its first serial port',
);
export const untilPortOption = new Option(
  '--until-port <host:port>',
  'it is well when this TCP port answers: an address that its guest has there, reached from this machine',
).argParser(portOf);
export const runningOption = new Option(
  '--probe-time <time>',
  'how long that may take; without a sign to wait for: for how long it must run',
)
  .argParser(seconds)
  .default(undefined, '10m with a sign to wait for, else 10s');
export const commitOption = new Option(
  '--commit',
  'once it is well, make it final: there is no way back then but another replica',
);
export const resumeOption = new Option('--resume', 'go on with a cutover that was interrupted');
export const rollbackOption = new Option(
  '--rollback',
  'take it back: stop and remove the machine on the other side, start the source again',
);

interface Place {
  readonly host: string;
  readonly port: number;
}

export interface CutoverOptions extends Pick<MachineOptions, 'memory' | 'secureBoot' | 'network'> {
  readonly on?: string;
  readonly folder?: string;
  readonly host?: string;
  readonly state?: string;
  readonly plan?: true;
  readonly yes?: true;
  readonly deltaTarget: number;
  readonly maxPrecopy: number;
  readonly shutdownTime: number;
  readonly force?: true;
  readonly verify: CutoverChoices['verify'];
  readonly convert: CutoverChoices['conversion'];
  readonly skipUnprotectable?: true;
  readonly untilSerial?: string;
  readonly untilPort?: Place;
  readonly probeTime?: number | undefined;
  readonly commit?: true;
  readonly resume?: true;
  readonly rollback?: true;
}

/** A cutover that is there already is gone on with by `--resume`, by `--rollback`, and by `--commit` without `--on`. */
export function actionOf(options: CutoverOptions): CutoverCall['action'] {
  const { on, plan, resume, rollback, commit } = options;
  if (rollback && (resume || commit)) refuse('--rollback goes with neither --resume nor --commit');
  if ((resume || rollback) && (on !== undefined || plan))
    refuse('it goes on as it was begun: leave out --on and --plan');
  if (rollback) return 'rollback';
  if (resume || (commit && on === undefined)) return 'resume';
  if (on === undefined)
    return refuse('name with --on what is to run the VM, or use --resume, --rollback or --commit');
  return plan ? 'plan' : 'begin';
}

export function wishesOf({ io }: Session, options: CutoverOptions): CutoverWishes {
  const path = (text: string): string => absolutePath(text, io.workingFolder, io.homeFolder);
  const probe = probeOf(options);
  return {
    hypervisor: options.on!.replace(/^qemu:(.+)$/s, (_all, folder: string) => `qemu:${path(folder)}`),
    ...(options.folder === undefined ? {} : { folder: path(options.folder) }),
    deltaTargetBytes: options.deltaTarget,
    preCopiesMax: options.maxPrecopy,
    shutdownSeconds: options.shutdownTime,
    verify: options.verify,
    skipUnprotectable: options.skipUnprotectable === true,
    machine: machineChoices(options, refuse),
    conversion: options.convert,
    probe,
    probeSeconds: options.probeTime ?? (probe.kind === 'running' ? 10 : 600),
  };
}

function probeOf({ untilSerial, untilPort }: CutoverOptions): HealthProbe {
  if (untilSerial !== undefined && untilPort !== undefined)
    refuse('--until-serial and --until-port exclude each other');
  if (untilSerial === '') refuse('--until-serial is empty');
  if (untilPort) return { kind: 'address', ...untilPort };
  return untilSerial === undefined ? { kind: 'running' } : { kind: 'serial', text: untilSerial };
}

function refuse(reason: string): never {
  throw cliFaults.usage({ reason, command: COMMAND });
}

function seconds(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const value = Number(number) * UNITS[unit as keyof typeof UNITS];
  if (value >= 1 && value <= SECONDS_MAX) return value;
  throw new InvalidArgumentError('It is a time such as 30s, 5m or 1h, up to 24h.');
}

function bytes(text: string): number {
  const value = parseBytes(text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError('It is a size such as 64MiB.');
}

function count(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= 100) return value;
  throw new InvalidArgumentError('It is a whole number from 1 to 100.');
}

/** An address of IPv6 in brackets. */
function portOf(text: string): Place {
  const [, bracketed, named, port] = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? named;
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new InvalidArgumentError('It is a name or an address and a port, such as web01.example:22.');
}
