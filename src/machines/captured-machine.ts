/** The machine of a captured VM: its settings as the host told them, mapped onto devices that others have. */
import { warningOf, type Fault, type Warning } from '../base/index.ts';
import type { VmConfiguration } from '../hyperv/index.ts';
import { adaptersOf, type NetworkChoices } from './captured-adapters.ts';
import { disksOf, inBootOrder, type CapturedDisk } from './captured-disks.ts';
import { machineFaults } from './faults.ts';
import type { Machine } from './machine.ts';

export interface CapturedVm {
  readonly id: string;
  readonly name: string;
  readonly generation?: number | undefined;
  /** As the restore point has it; empty when it is lost. */
  readonly configuration: Partial<VmConfiguration>;
  /** With what is to be found where; disks of the VM that are not here become a note. */
  readonly disks: readonly CapturedDisk[];
}

export interface MachineChoices {
  /** `compatible` (default): what a guest that never ran elsewhere has drivers for; `virtio`: faster, for guests that have its drivers. */
  readonly devices?: 'compatible' | 'virtio';
  /** False: off whatever the VM had. */
  readonly secureBoot?: boolean;
  readonly memoryMiB?: number;
  /** By the name of the virtual switch, `*` for all that are not named. What is not here is isolated. */
  readonly networks?: NetworkChoices;
}

export interface DescribedMachine {
  readonly machine: Machine;
  /** What the machine has not of the VM, or otherwise. */
  readonly notes: readonly Warning[];
}

const MEMORY_UNKNOWN_MIB = 2048;
/** What both chipsets take without an IOMMU of their own. */
const PROCESSORS_MAX = 255;
/** Microsoft signs for both of these with keys that every UEFI firmware has. */
const KEYS_EVERYWHERE = ['MicrosoftWindows', 'MicrosoftUEFICertificateAuthority'];
/** In the boot order of generation 1. */
const FROM_NETWORK = 3;

/** Throws `MACHINE_UNKNOWN_NETWORK`. */
export function describeMachine(vm: CapturedVm, choices: MachineChoices = {}): DescribedMachine {
  const faults: Fault[] = [];
  const note = (fault: Fault): void => void faults.push(fault);
  const { configuration } = vm;
  const firmware = (vm.generation ?? configuration.generation) === 2 ? 'uefi' : 'bios';
  const devices = choices.devices ?? 'compatible';
  const uuid = guidOf(configuration.firmware?.biosGuid) ?? guidOf(vm.id);
  const serialNumber = configuration.firmware?.serialNumber;
  const machine: Machine = {
    name: vm.name,
    ...(uuid === undefined ? {} : { uuid }),
    ...(serialNumber ? { serialNumber } : {}),
    firmware,
    secureBoot: firmware === 'uefi' && secureBootOf(configuration, choices, note),
    ...processorsOf(configuration, note),
    memoryMiB: memoryOf(configuration, choices, note),
    tpm: configuration.security?.tpm ?? false,
    disks: disksOf(inBootOrder(vm.disks, configuration), { devices, firmware }, note),
    adapters: adaptersOf(configuration, { devices, firmware, networks: choices.networks ?? {} }, note),
    bootsFromNetwork: networkBootOf(configuration),
  };
  if (firmware === 'uefi') note(machineFaults.bootEntriesLost());
  noteWhatStays(vm, note);
  return { machine, notes: faults.map(warningOf) };
}

/** Notes what could not be carried over. */
export type Note = (fault: Fault) => void;

function guidOf(text: string | undefined): string | undefined {
  const [guid] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.exec(text ?? '') ?? [];
  return guid?.toLowerCase();
}

function secureBootOf(
  { firmware }: Partial<VmConfiguration>,
  { secureBoot = true }: MachineChoices,
  note: Note,
): boolean {
  if (!firmware?.secureBoot || !secureBoot) return false;
  const { secureBootTemplate, secureBootTemplateId } = firmware;
  const template = secureBootTemplate ?? secureBootTemplateId ?? 'MicrosoftWindows';
  if (KEYS_EVERYWHERE.includes(template)) return true;
  note(machineFaults.secureBootOff({ template }));
  return false;
}

function processorsOf(
  { processors = 1, processor }: Partial<VmConfiguration>,
  note: Note,
): { processors: number; threadsPerCore: number } {
  const given = Math.min(Math.max(1, processors), PROCESSORS_MAX);
  if (given < processors) note(machineFaults.processorsCut({ processors, given }));
  const threads = processor?.threadsPerCore || 1;
  return { processors: given, threadsPerCore: given % threads === 0 ? threads : 1 };
}

function memoryOf(
  { memory, processors }: Partial<VmConfiguration>,
  choices: MachineChoices,
  note: Note,
): number {
  const memoryMiB = choices.memoryMiB ?? (memory?.startupMiB || MEMORY_UNKNOWN_MIB);
  if (!memory?.startupMiB || processors === undefined)
    note(machineFaults.settingsGuessed({ processors: processors ?? 1, memoryMiB }));
  else if (memory.dynamic && choices.memoryMiB === undefined)
    note(
      machineFaults.memoryFixed({
        minimumMiB: memory.minimumMiB,
        maximumMiB: memory.maximumMiB,
        memoryMiB,
      }),
    );
  return memoryMiB;
}

function networkBootOf({ firmware }: Partial<VmConfiguration>): Machine['bootsFromNetwork'] {
  const sources = firmware?.bootSources?.map(({ kind }) => kind === 'network');
  const order = sources ?? firmware?.bootOrder?.map((source) => source === FROM_NETWORK) ?? [];
  // Floppy and CD are in every order of generation 1, and the machine has neither.
  const firstOthers = sources ? order.indexOf(false) : (firmware?.bootOrder?.findIndex(isDisk) ?? -1);
  const network = order.indexOf(true);
  if (network < 0) return 'never';
  return firstOthers < 0 || network < firstOthers ? 'first' : 'last';
}

const isDisk = (source: number): boolean => source === 2 || source === 4;

function noteWhatStays({ configuration, disks }: CapturedVm, note: Note): void {
  const { security, processor, dvdDrives = [] } = configuration;
  const held = new Set(disks.map(({ attachmentId }) => attachmentId));
  const missing = (configuration.disks ?? []).filter(({ attachmentId }) => !held.has(attachmentId));
  if (missing.length > 0)
    note(
      machineFaults.disksMissing({
        count: missing.length,
        paths: missing.map(({ path }) => path).join(', '),
      }),
    );
  if (security?.shielded) note(machineFaults.shielded());
  if (security?.tpm) note(machineFaults.tpmEmpty());
  if (processor?.nestedVirtualization) note(machineFaults.nestedLeft());
  if (dvdDrives.length > 0)
    note(machineFaults.dvdLeft({ paths: dvdDrives.map(({ path }) => path ?? 'an empty one').join(', ') }));
}
