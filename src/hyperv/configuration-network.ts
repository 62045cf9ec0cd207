/**
 * Network adapters of a VM, and what each is plugged into.
 *
 *   adapter ◄─Parent─ cable ─HostResource─► switch
 *                       └─ VLANs, whose id begins with that of the cable
 */
import type { CallOptions } from '../disk/index.ts';
import type { CimInstance } from '../winrm/index.ts';
import {
  Msvm_EmulatedEthernetPortSettingData,
  Msvm_EthernetPortAllocationSettingData,
  Msvm_EthernetSwitchPortVlanSettingData,
  Msvm_SyntheticEthernetPortSettingData,
  Msvm_VirtualEthernetSwitch,
} from './classes/devices.ts';
import type { ConfigurationGaps } from './configuration-gaps.ts';
import { ifKnown, keyOf, named, present, type Devices, type Named } from './configuration-values.ts';
import type { Host } from './host.ts';

export interface VmNetworkAdapter {
  readonly name: string;
  /** Twelve hexadecimal digits. */
  readonly macAddress: string;
  readonly staticMacAddress: boolean;
  /** The emulated one of generation 1. */
  readonly legacy?: boolean;
  readonly connected?: boolean;
  readonly switchId?: string;
  readonly switchName?: string;
  readonly vlan?: VmVlan;
}

export interface VmVlan {
  readonly mode?: Named<typeof VLAN_MODES>;
  /** Of mode `access`. */
  readonly accessId?: number;
  /** Of mode `trunk`. */
  readonly nativeId?: number;
  readonly trunkIds?: readonly number[];
  /** Of mode `private`. */
  readonly privateMode?: Named<typeof PRIVATE_MODES>;
  readonly primaryId?: number;
  readonly secondaryId?: number;
}

const VLAN_MODES = { 0: 'none', 1: 'access', 2: 'trunk', 3: 'private' } as const;
const PRIVATE_MODES = { 1: 'isolated', 2: 'community', 3: 'promiscuous' } as const;
const CONNECTED = 2;

type Adapter = CimInstance<typeof Msvm_SyntheticEthernetPortSettingData>;
type Cable = CimInstance<typeof Msvm_EthernetPortAllocationSettingData>;
type Vlan = CimInstance<typeof Msvm_EthernetSwitchPortVlanSettingData>;

interface Wiring {
  readonly cables: readonly Cable[];
  readonly vlans: readonly Vlan[];
  /** Names by GUID, upper case. */
  readonly switches: ReadonlyMap<string, string>;
}

export interface SettingsParts {
  /** Devices in the settings. */
  readonly devices: Devices;
  /** What belongs to them by its id. */
  readonly owned: Devices;
  readonly gaps: ConfigurationGaps;
}

export async function readAdapters(
  host: Host,
  parts: SettingsParts,
  options: CallOptions,
): Promise<VmNetworkAdapter[]> {
  const synthetic = await parts.devices(Msvm_SyntheticEthernetPortSettingData);
  const legacy = await parts.devices(Msvm_EmulatedEthernetPortSettingData);
  if (synthetic.length + legacy.length === 0) return [];
  const wiring = await readWiring(host, parts, options);
  return [
    ...synthetic.map((row) => adapterOf(row, wiring, {})),
    ...legacy.map((row) => adapterOf(row, wiring, { legacy: true })),
  ];
}

async function readWiring(
  { session }: Host,
  { devices, owned, gaps }: SettingsParts,
  options: CallOptions,
): Promise<Wiring> {
  const cables = await devices(Msvm_EthernetPortAllocationSettingData);
  if (cables.length === 0) return { cables, vlans: [], switches: new Map() };
  const vlans = await owned(Msvm_EthernetSwitchPortVlanSettingData);
  const listed = () => Array.fromAsync(session.enumerate(Msvm_VirtualEthernetSwitch, options));
  const switches = await gaps.filled(Msvm_VirtualEthernetSwitch.name, () => ifKnown(listed), []);
  const names = switches.map(({ Name, ElementName }) => [Name.toUpperCase(), ElementName ?? ''] as const);
  return { cables, vlans, switches: new Map(names) };
}

function adapterOf(row: Adapter, wiring: Wiring, kind: { legacy?: true }): VmNetworkAdapter {
  const cable = wiring.cables.find(({ Parent }) => sameId(keyOf(Parent, 'InstanceID'), row.InstanceID));
  return {
    name: row.ElementName ?? '',
    macAddress: row.Address ?? '',
    staticMacAddress: row.StaticMacAddress ?? false,
    ...kind,
    ...(cable ? connectionOf(cable, wiring) : {}),
  };
}

function connectionOf(cable: Cable, { vlans, switches }: Wiring): Partial<VmNetworkAdapter> {
  const switchId = keyOf(cable.HostResource[0], 'Name');
  const known = switchId === undefined ? undefined : switches.get(switchId.toUpperCase());
  const prefix = `${cable.InstanceID}\\`.toLowerCase();
  const vlan = vlans.find(({ InstanceID }) => InstanceID.toLowerCase().startsWith(prefix));
  return present({
    connected:
      cable.EnabledState === null ? undefined : cable.EnabledState === CONNECTED && switchId !== undefined,
    switchId,
    switchName: known ?? cable.LastKnownSwitchName,
    vlan: vlan && vlanOf(vlan),
  });
}

function vlanOf(row: Vlan): VmVlan {
  const mode = named(VLAN_MODES, row.OperationMode);
  return present({
    mode,
    accessId: mode === 'access' ? row.AccessVlanId : undefined,
    nativeId: mode === 'trunk' ? row.NativeVlanId : undefined,
    trunkIds: mode === 'trunk' ? row.TrunkVlanIdArray : undefined,
    privateMode: mode === 'private' ? named(PRIVATE_MODES, row.PvlanMode) : undefined,
    primaryId: mode === 'private' ? row.PrimaryVlanId : undefined,
    secondaryId: mode === 'private' ? row.SecondaryVlanId : undefined,
  });
}

function sameId(a: string | undefined, b: string): boolean {
  return a?.toLowerCase() === b.toLowerCase();
}
