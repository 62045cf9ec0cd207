/** The options of `hvlift serve` about the machine that starts from the disks. */
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import type { PointMachine } from '../../flows/index.ts';
import type { AdapterNetwork, MachineChoices } from '../../machines/index.ts';
import { MACHINE_KINDS } from '../choices.ts';
import type { ServeRequest } from '../engine.ts';
import { cliFaults } from '../faults.ts';
import { collect } from '../options.ts';

export const machineOption = new Option(
  '--machine <kind>',
  'write and print the definition of a machine that starts from these disks; needs --write',
).choices(MACHINE_KINDS);
export const runOption = new Option(
  '--run',
  'start the machine in QEMU; Ctrl-C asks its guest to switch itself off',
);
export const devicesOption = new Option(
  '--devices <devices>',
  'compatible: what guests have drivers for; virtio: faster, for guests that have its drivers',
)
  .choices(['compatible', 'virtio'] as const)
  .default('compatible' as const);
export const networkOption = new Option(
  '--network <switch=network>',
  'connect the adapters of a virtual switch, or * for all, to bridge:NAME, network:NAME (libvirt) or nat; may be repeated; default: isolated',
).argParser(collect);
export const memoryOption = new Option(
  '--memory <mib>',
  'memory of the machine in MiB; default: what the VM started with',
).argParser(memoryOf);
export const noSecureBootOption = new Option('--no-secure-boot', 'leave Secure Boot off whatever the VM had');

export interface MachineOptions {
  readonly machine?: (typeof MACHINE_KINDS)[number];
  readonly run?: true;
  readonly devices: 'compatible' | 'virtio';
  readonly network?: readonly string[];
  readonly memory?: number;
  readonly secureBoot: boolean;
  readonly write?: string;
  readonly tlsCert?: string;
}

/** `--run` alone means QEMU. */
export function machineOf(options: MachineOptions, command: string): ServeRequest['machine'] {
  const kind = options.machine ?? (options.run ? 'qemu' : undefined);
  if (kind === undefined) return undefined;
  const refuse = (reason: string): never => {
    throw cliFaults.usage({ reason, command });
  };
  if (options.write === undefined) refuse('a machine writes to its disks: it needs --write');
  if (options.tlsCert !== undefined) refuse('a machine is not given certificates: leave out --tls-cert');
  if (options.run && kind !== 'qemu') refuse('--run starts QEMU; give what is printed for libvirt to virsh');
  return { kind, choices: { devices: options.devices, ...machineChoices(options, refuse) } };
}

/** `refuse` says what is wrong with `--network`. */
export function machineChoices(
  { memory, secureBoot, network = [] }: Pick<MachineOptions, 'memory' | 'secureBoot' | 'network'>,
  refuse: (reason: string) => never,
): Omit<MachineChoices, 'devices'> {
  return {
    secureBoot,
    networks: Object.fromEntries(network.map((text) => networkOf(text, refuse))),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
  };
}

function networkOf(text: string, refuse: (reason: string) => never): [string, AdapterNetwork] {
  // The name of a switch may hold anything, that of a network no "=".
  const at = text.lastIndexOf('=');
  const [, kind, name] = /^(nat|bridge|network)(?::(.+))?$/.exec(text.slice(at + 1)) ?? [];
  if (at > 0 && kind === 'nat' && name === undefined) return [text.slice(0, at), { kind }];
  if (at > 0 && (kind === 'bridge' || kind === 'network') && name !== undefined)
    return [text.slice(0, at), { kind, name }];
  return refuse(`--network is SWITCH=bridge:NAME, SWITCH=network:NAME or SWITCH=nat, not "${text}"`);
}

function memoryOf(text: string): number {
  const mib = Number(text);
  // 12 TiB is the most a VM of Hyper-V can have.
  if (!/^\d+$/.test(text) || mib < 1 || mib > 12 * 1024 * 1024)
    throw new InvalidArgumentError('A whole number of MiB, up to 12582912.');
  return mib;
}

export function machineLines({ definition, path, notes }: PointMachine): string[] {
  return [
    `machine, in ${path}:`,
    '',
    definition.trimEnd(),
    '',
    ...notes.flatMap(({ code, message, remedy }) => [`note ${code}: ${message}`, `  do: ${remedy}`]),
  ];
}
