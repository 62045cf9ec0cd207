/** The virtual machines of a host. The host's own row is in the same list and is told apart by its Name, which is no GUID. */
import { normaliseGuid } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { wql, type CimInstance, type CimReference } from '../winrm/index.ts';
import { Msvm_ComputerSystem } from './classes/computer-system.ts';
import { Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import { hypervFaults } from './faults.ts';
import type { Host } from './host.ts';

export type VmState = 'running' | 'off' | 'saved' | 'paused' | 'other';

export interface Vm {
  /** GUID, lower case. */
  readonly id: string;
  /** Not unique on a host. */
  readonly name: string;
  readonly state: VmState;
  /** The operation under way, when there is one: `merging`, `exporting`, `migrating` … */
  readonly busy?: string;
  /** Its part in Hyper-V Replica; absent: none. */
  readonly replication?: 'primary' | 'replica' | 'test-replica' | 'extended-replica';
  /** `9.0`; tracking needs 8.0 or later. */
  readonly configurationVersion?: string;
  /** 1 or 2. */
  readonly generation?: number;
  /** As the administrator wrote them; absent when there are none, or from {@link readVm}. */
  readonly notes?: readonly string[];
}

/** 32768 and 32769 are the numbers of an older interface that documentation still names. */
const STATES: Readonly<Record<number, VmState>> = {
  2: 'running',
  3: 'off',
  6: 'saved',
  9: 'paused',
  32_768: 'paused',
  32_769: 'saved',
};

const OPERATIONS: Readonly<Record<number, string>> = {
  32_768: 'creating a checkpoint',
  32_769: 'applying a checkpoint',
  32_770: 'deleting a checkpoint',
  32_771: 'waiting to start',
  32_772: 'merging',
  32_773: 'exporting',
  32_774: 'migrating',
};
const REPLICATION: Readonly<Record<number, NonNullable<Vm['replication']>>> = {
  1: 'primary',
  2: 'replica',
  3: 'test-replica',
  4: 'extended-replica',
};
export const MERGING = OPERATIONS[32_772]!;

const CURRENT_SETTINGS = 'Microsoft:Hyper-V:System:Realized';

/** Every VM this account may see: an account without rights sees none, and no error. */
export async function listVms(host: Host, options: CallOptions): Promise<Vm[]> {
  const rows = (await vmRows(host, options)).map(vmOf);
  const settings = new Map<string, Partial<Vm>>();
  const query = wql`SELECT * FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType = ${CURRENT_SETTINGS}`;
  for await (const row of host.session.query(Msvm_VirtualSystemSettingData, query, options)) {
    const id = normaliseGuid(row.VirtualSystemIdentifier ?? '');
    if (id) settings.set(id, settingsOf(row));
  }
  return rows.map((vm) => ({ ...vm, ...settings.get(vm.id) }));
}

/** One VM by its id, or else by its name; a name in other letters counts when no VM has it exactly. */
export async function findVm(host: Host, nameOrId: string, options: CallOptions): Promise<Vm> {
  return chooseVm(await listVms(host, options), nameOrId);
}

/** Throws `HYPERV_VM_NOT_FOUND`, `HYPERV_VM_AMBIGUOUS`. */
export function chooseVm(vms: readonly Vm[], nameOrId: string): Vm {
  const id = normaliseGuid(nameOrId);
  const choices = [
    vms.filter((vm) => vm.id === id),
    vms.filter((vm) => vm.name === nameOrId),
    vms.filter((vm) => vm.name.toLowerCase() === nameOrId.toLowerCase()),
  ];
  const [vm, ...others] = choices.find((found) => found.length > 0) ?? [];
  if (!vm) throw hypervFaults.vmNotFound({ vm: nameOrId, visible: vms.length });
  if (others.length > 0) {
    const ids = [vm, ...others].map((each) => each.id).join(', ');
    throw hypervFaults.vmAmbiguous({ vm: nameOrId, count: others.length + 1, ids });
  }
  return vm;
}

/** State and operation of one VM, without its settings: for polling. Throws `HYPERV_VM_NOT_FOUND`. */
export async function readVm(host: Host, vmId: string, options: CallOptions): Promise<Vm> {
  return vmOf(await vmRow(host, vmId, options));
}

/** The reference of a VM in the host's own spelling of its GUID. Throws `HYPERV_VM_NOT_FOUND`. */
export async function vmReference(host: Host, vmId: string, options: CallOptions): Promise<CimReference> {
  const { CreationClassName, Name } = await vmRow(host, vmId, options);
  return { className: Msvm_ComputerSystem.name, keys: { CreationClassName, Name } };
}

type VmRow = CimInstance<typeof Msvm_ComputerSystem>;

/** By query, not by key: WQL compares text without regard to case, so the spelling of the GUID does not matter. */
export async function vmRow(host: Host, vmId: string, options: CallOptions): Promise<VmRow> {
  const query = wql`SELECT * FROM Msvm_ComputerSystem WHERE Name = ${vmId.toUpperCase()}`;
  const [row] = await Array.fromAsync(host.session.query(Msvm_ComputerSystem, query, options));
  if (row) return row;
  throw hypervFaults.vmNotFound({ vm: vmId, visible: (await vmRows(host, options)).length });
}

async function vmRows(host: Host, options: CallOptions): Promise<VmRow[]> {
  const rows = await Array.fromAsync(host.session.enumerate(Msvm_ComputerSystem, options));
  return rows.filter((row) => normaliseGuid(row.Name) !== undefined);
}

export function vmOf(row: VmRow): Vm {
  const id = normaliseGuid(row.Name)!;
  const operation = row.OperationalStatus[1] ?? 0;
  const replication = REPLICATION[row.ReplicationMode ?? 0];
  return {
    id,
    name: row.ElementName ?? id,
    state: STATES[row.EnabledState ?? 0] ?? 'other',
    ...(operation === 0 ? {} : { busy: OPERATIONS[operation] ?? `operation ${operation}` }),
    ...(replication ? { replication } : {}),
  };
}

export function settingsOf(row: CimInstance<typeof Msvm_VirtualSystemSettingData>): Partial<Vm> {
  const generation = generationOf(row.VirtualSystemSubType);
  const notes = row.Notes.filter((note) => note !== '');
  return {
    ...(row.Version ? { configurationVersion: row.Version } : {}),
    ...(generation === undefined ? {} : { generation }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}

/** `Microsoft:Hyper-V:SubType:2` → 2. */
export function generationOf(subType: string | null): number | undefined {
  const digit = /:(\d+)$/.exec(subType ?? '')?.[1];
  return digit === undefined ? undefined : Number(digit);
}
