/** The network adapters of a captured VM: with their addresses, and on no network unless the user names one. */
import type { VmConfiguration } from '../hyperv/index.ts';
import { machineFaults } from './faults.ts';
import type { Note } from './captured-machine.ts';
import type { AdapterNetwork, Machine, MachineAdapter } from './machine.ts';

/** By the name of a virtual switch; `*` is for every one that is not named. */
export type NetworkChoices = Readonly<Record<string, AdapterNetwork>>;

export interface AdapterChoices {
  readonly devices: 'compatible' | 'virtio';
  readonly firmware: Machine['firmware'];
  readonly networks: NetworkChoices;
}

type VmAdapter = VmConfiguration['networkAdapters'][number];

const ISOLATED: AdapterNetwork = { kind: 'isolated' };
const EVERY_SWITCH = '*';

export function adaptersOf(
  { networkAdapters = [] }: Partial<VmConfiguration>,
  choices: AdapterChoices,
  note: Note,
): MachineAdapter[] {
  refuseUnknown(networkAdapters, choices.networks);
  const model = modelOf(choices);
  if (networkAdapters.length > 0) note(machineFaults.adapterModel({ count: networkAdapters.length, model }));
  return networkAdapters.map((adapter) => {
    const mac = macOf(adapter, note);
    return { model, ...(mac === undefined ? {} : { mac }), network: networkOf(adapter, choices, note) };
  });
}

/** A name with a slip in it would leave the machine without a network, or on that of another. */
function refuseUnknown(adapters: readonly VmAdapter[], networks: NetworkChoices): void {
  const known = new Set(adapters.map(({ switchName }) => switchName));
  const unknown = Object.keys(networks).find((name) => name !== EVERY_SWITCH && !known.has(name));
  if (unknown === undefined) return;
  const switches = [...known].filter(Boolean).join(', ') || 'no virtual switch';
  throw machineFaults.unknownNetwork({ switchName: unknown, switches });
}

/** The e1000e is a device of PCI Express, which the chipset of generation 1 has not. */
function modelOf({ devices, firmware }: AdapterChoices): MachineAdapter['model'] {
  if (devices === 'virtio') return 'virtio';
  return firmware === 'bios' ? 'e1000' : 'e1000e';
}

/** Twelve zeros: the host gives an address at the first start. An odd first byte is an address of a group. */
function macOf({ name, macAddress }: VmAdapter, note: Note): string | undefined {
  const digits = macAddress.replace(/[:-]/g, '').toLowerCase();
  if (/^0*$/.test(digits)) return undefined;
  if (/^[0-9a-f][02468ace][0-9a-f]{10}$/.test(digits)) return digits.match(/../g)!.join(':');
  note(machineFaults.macLeft({ adapter: name, mac: macAddress }));
  return undefined;
}

function networkOf(adapter: VmAdapter, { networks }: AdapterChoices, note: Note): AdapterNetwork {
  const { name, switchName, connected, vlan } = adapter;
  if (switchName === undefined || connected === false) return ISOLATED;
  const network = Object.hasOwn(networks, switchName) ? networks[switchName] : networks[EVERY_SWITCH];
  if (!network) note(machineFaults.adapterIsolated({ adapter: name, switchName }));
  if (vlan && isTagged(vlan))
    note(machineFaults.vlanLeft({ adapter: name, mode: vlan.mode, ids: idsOf(vlan) }));
  return network ?? ISOLATED;
}

/** Access to VLAN 0 is what an adapter has that was never given one. */
function isTagged({ mode, accessId }: NonNullable<VmAdapter['vlan']>): boolean {
  return mode !== undefined && mode !== 'none' && !(mode === 'access' && !accessId);
}

function idsOf({
  accessId,
  nativeId,
  trunkIds = [],
  primaryId,
  secondaryId,
}: NonNullable<VmAdapter['vlan']>): string {
  const ids = [accessId, nativeId, ...trunkIds, primaryId, secondaryId].filter((id) => id !== undefined);
  return ids.length === 0 ? '' : ` (${ids.join(', ')})`;
}
