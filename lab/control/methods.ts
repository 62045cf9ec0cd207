/** What the control API offers: methods of {@link LabHost} by name, and what concerns the process around it. */
import type { RangeReader } from '../../src/disk/index.ts';
import type { LabHost } from '../model/index.ts';
import type { WireFaultRule, WireStats } from '../wire/index.ts';
import type { NodeAddress, NodeMethods } from './nodes.ts';

export const HOST_METHODS = [
  'configure',
  'createVm',
  'removeVm',
  'vms',
  'vm',
  'setPower',
  'setGuest',
  'addDisk',
  'attachDisk',
  'detachDisk',
  'replaceDisk',
  'resizeDisk',
  'moveDisk',
  'exchangeDisk',
  'resetTracking',
  'addDrive',
  'guestWrite',
  'guestTrim',
  'guestRead',
  'guestRun',
  'startWriter',
  'stopWriter',
  'seals',
  'mark',
  'truthRead',
  'truthSize',
  'compareImage',
  'addFault',
  'clearFaults',
  'holdMerges',
  'settle',
] as const satisfies readonly (keyof LabHost)[];

export type HostMethod = (typeof HOST_METHODS)[number];

/** What is not the host's but the process's. */
export interface ProcessMethods extends NodeMethods {
  /** What the network, or a proxy in between, does to a coming request. */
  addWireFault(rule: WireFaultRule): Promise<void>;
  /** Requests, connections and bytes so far. */
  wireStats(): Promise<WireStats>;
  /** Ends the process, once this call is answered; the host comes back as it was when it is started again. */
  stop(): Promise<void>;
}

export const PROCESS_METHODS = [
  'nodes',
  'moveVm',
  'addWireFault',
  'wireStats',
  'stop',
] as const satisfies readonly (keyof ProcessMethods)[];

/** A lab in another process, steered over its control API. Refusals are {@link LabFailure}s, as in the process itself. */
export interface LabClient extends Pick<LabHost, HostMethod>, ProcessMethods {
  /** The exact content of a disk at a seal, or with `now` as it is. */
  truthReader(sealId: string, diskId: string): Promise<RangeReader>;
}

/** Where a running lab is found: printed by `lab start`, and kept in `lab.json` in its folder. */
export interface LabAddress {
  /** Of the WS-Management endpoint; of a cluster, that of its first node. */
  readonly url: string;
  /** Of a cluster: what `nodes` of a host in the configuration says. */
  readonly nodes?: readonly NodeAddress[];
  readonly controlUrl: string;
  readonly user: string;
  readonly passwordFile: string;
  readonly controlTokenFile: string;
  /** Where the host's drives lie: what `files.mappings` of a host in the configuration says. */
  readonly mappings: readonly { readonly from: string; readonly to: string }[];
  readonly pid: number;
}
