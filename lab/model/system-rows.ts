/** Instances of the host and its VMs, their guest components, and the services. */
import type { LabInstance, LabValue } from '../cim.ts';
import type { HostCore } from './core.ts';
import type { Power, VmState } from './host-state.ts';
import type { Machine } from './machine.ts';
import { textsOf } from './texts.ts';

/** How WMI says "never". */
export const NEVER = new Date('1601-01-01T00:00:00Z');

const ENABLED_STATE: Record<Power, number> = { running: 2, off: 3, saved: 6, paused: 9 };
/** As microsoft/wmi names it (hyperv-classes, Msvm_ComputerSystem). */
const STOPPING = 4;
const VSS_COMPONENT = '5CED1297-4598-4915-A5FC-AD21BB4D02A4';
const KVP_COMPONENT = '2A34B1C2-FD73-4043-8A5B-DD2159BC743F';
const SHUTDOWN_COMPONENT = '9F8233AC-BE49-4C79-8EE3-E7E1985B2077';

export function enabledState(power: Power): number {
  return ENABLED_STATE[power];
}

export function systemRows(core: HostCore): LabInstance[] {
  return [hostRow(core), ...[...core.machines.values()].map((machine) => vmRow(core, machine))];
}

/** As recorded_computersystem_pull_host.xml: the Name of the host is no GUID, and nearly everything is null. */
function hostRow(core: HostCore): LabInstance {
  const texts = textsOf(core.options.language);
  return {
    className: 'Msvm_ComputerSystem',
    properties: {
      Caption: texts.hostCaption,
      CreationClassName: 'Msvm_ComputerSystem',
      Description: texts.hostDescription,
      ElementName: core.state.hostName,
      EnabledDefault: 2,
      EnabledState: 2,
      HealthState: 5,
      Name: core.state.hostName,
      NumberOfNumaNodes: 1,
      OperationalStatus: [2],
      RequestedState: 12,
      ResetCapability: 1,
      Status: 'OK',
      StatusDescriptions: ['OK'],
    },
  };
}

/** As recorded_computersystem_pull_vm_*.xml. */
function vmRow(core: HostCore, machine: Machine): LabInstance {
  const { state } = machine;
  const texts = textsOf(core.options.language);
  const busy = core.busyWith(machine);
  const running = state.power === 'running';
  const since = state.powerChangedAt;
  return {
    className: 'Msvm_ComputerSystem',
    properties: {
      Caption: texts.vmCaption,
      CreationClassName: 'Msvm_ComputerSystem',
      Description: 'Microsoft Virtual Machine',
      ElementName: state.name,
      EnabledDefault: running ? 2 : 3,
      EnabledState: machine.isLeaving ? STOPPING : enabledState(state.power),
      EnhancedSessionModeState: running ? 6 : 3,
      FailedOverReplicationType: 0,
      HealthState: 5,
      HwThreadsPerCoreRealized: running ? 2 : null,
      InstallDate: new Date(state.createdAt),
      LastApplicationConsistentReplicationTime: NEVER,
      LastReplicationTime: NEVER,
      LastReplicationType: 0,
      Name: state.id,
      NumberOfNumaNodes: 1,
      OnTimeInMilliseconds: BigInt(running && since !== undefined ? core.clock.now() - since : 0),
      OperationalStatus: busy === undefined ? [2] : [2, busy],
      ProcessID: running ? 4096 + (Number.parseInt(state.id.slice(0, 4), 16) & ~3) : null,
      ReplicationHealth: 0,
      ReplicationMode: state.replicationMode ?? 0,
      ReplicationState: 0,
      RequestedState: 5,
      ResetCapability: 1,
      Status: 'OK',
      StatusDescriptions: [
        texts.operatingNormally,
        ...(busy === undefined ? [] : [texts.busy[busy] ?? texts.operatingNormally]),
      ],
      TimeOfLastConfigurationChange: new Date(state.configuredAt),
      TimeOfLastStateChange: since === undefined ? NEVER : new Date(since),
    },
  };
}

/** The VSS component exists while the VM runs; its status tells whether the guest answers. */
export function vssRows(core: HostCore): LabInstance[] {
  return runningMachines(core).map(({ state, vss }) => {
    const status = vss === 'no-contact' ? 12 : 2;
    const enabled = vss === 'disabled' ? 3 : 2;
    return component(core, state, 'Msvm_VssComponent', VSS_COMPONENT, {
      ElementName: 'VSS',
      Name: 'VSS',
      Caption: 'VSS',
      Description: 'Microsoft VSS Service',
      EnabledState: enabled,
      OperationalStatus: [status],
    });
  });
}

/** What the guest tells of itself (hyperv-classes, Msvm_KvpExchangeComponent). A guest without its service tells nothing. */
export function kvpRows(core: HostCore): LabInstance[] {
  return runningMachines(core).map(({ state }) =>
    component(core, state, 'Msvm_KvpExchangeComponent', KVP_COMPONENT, {
      ElementName: 'Key-Value pair Exchange',
      Name: 'Key-Value Pair Exchange',
      Caption: 'Key-Value Pair Exchange',
      Description: 'Microsoft Key-Value Pair Exchange Service',
      EnabledState: 2,
      OperationalStatus: [state.guestSystem === undefined ? 12 : 2],
      GuestExchangeItems: [],
      GuestIntrinsicExchangeItems:
        state.guestSystem === undefined ? [] : [kvpItem('OSName', state.guestSystem)],
    }),
  );
}

/** An embedded Msvm_KvpExchangeDataItem; 2: the guest's own service told it. */
function kvpItem(name: string, data: string): string {
  const property = (key: string, type: string, value: string): string =>
    `<PROPERTY NAME="${key}" TYPE="${type}"><VALUE>${escaped(value)}</VALUE></PROPERTY>`;
  const properties = [
    property('Data', 'string', data),
    property('Name', 'string', name),
    property('Source', 'uint16', '2'),
  ];
  return `<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">${properties.join('')}</INSTANCE>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export function shutdownRows(core: HostCore): LabInstance[] {
  return runningMachines(core).map(({ state }) =>
    component(core, state, 'Msvm_ShutdownComponent', SHUTDOWN_COMPONENT, {
      ElementName: 'Shutdown',
      Name: 'Shutdown',
      Caption: 'Shutdown',
      Description: 'Microsoft Shutdown Service',
      EnabledState: state.shutdown === 'disabled' ? 3 : 2,
      OperationalStatus: [state.shutdown === 'not-ready' ? 12 : 2],
    }),
  );
}

function runningMachines(core: HostCore): Machine[] {
  return [...core.machines.values()].filter((machine) => machine.isRunning);
}

function component(
  core: HostCore,
  vm: VmState,
  className: string,
  componentId: string,
  properties: Record<string, LabValue> & { OperationalStatus: number[] },
): LabInstance {
  const texts = textsOf(core.options.language);
  const answers = properties.OperationalStatus[0] === 2;
  return {
    className,
    properties: {
      AdditionalAvailability: [6],
      Availability: 6,
      CreationClassName: className,
      DeviceID: `Microsoft:${vm.id}\\${componentId}`,
      EnabledDefault: 7,
      HealthState: 5,
      RequestedState: 12,
      Status: 'OK',
      StatusDescriptions: [answers ? 'OK' : texts.noContact],
      SystemCreationClassName: 'Msvm_ComputerSystem',
      SystemName: vm.id,
      ...properties,
    },
  };
}

const SERVICE_NAMES: Readonly<Record<string, string>> = {
  Msvm_VirtualSystemManagementService: 'vmms',
  Msvm_VirtualSystemSnapshotService: 'vssnapsvc',
  Msvm_VirtualSystemReferencePointService: 'rpsvc',
  Msvm_ImageManagementService: 'vhdsvc',
};

export function isService(className: string): boolean {
  return className in SERVICE_NAMES;
}

export function serviceRow(core: HostCore, className: string): LabInstance {
  return {
    className,
    properties: {
      Caption: className.slice('Msvm_'.length),
      CreationClassName: className,
      ElementName: className.slice('Msvm_'.length),
      EnabledDefault: 2,
      EnabledState: 2,
      HealthState: 5,
      Name: SERVICE_NAMES[className]!,
      OperationalStatus: [2],
      RequestedState: 12,
      Started: true,
      StartMode: 'Automatic',
      Status: 'OK',
      StatusDescriptions: ['OK'],
      SystemCreationClassName: 'Msvm_ComputerSystem',
      SystemName: core.state.hostName,
    },
  };
}

export function managementSettingsRow(): LabInstance {
  const name = 'Hyper-V Virtual System Management Service';
  return {
    className: 'Msvm_VirtualSystemManagementServiceSettingData',
    properties: {
      InstanceID: 'Microsoft:host',
      Caption: name,
      Description: 'Settings for the Virtual System Management Service',
      ElementName: name,
      DefaultExternalDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
      DefaultVirtualHardDiskPath: 'C:\\Users\\Public\\Documents\\Hyper-V\\Virtual Hard Disks',
      DefaultVirtualHardDiskCachingMode: 0,
      EnhancedSessionModeEnabled: false,
      NumaSpanningEnabled: true,
      PrimaryOwnerContact: '',
      PrimaryOwnerName: 'Administrators',
    },
  };
}
