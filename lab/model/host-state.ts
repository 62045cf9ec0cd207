/**
 * What the emulated host remembers over a restart: one JSON file, replaced in one step. Jobs are not in it: on a real host
 * they live in the management service and are gone when it restarts, while what they had done by then stays.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex } from '../../src/base/index.ts';
import { replaceFile } from './replace-file.ts';

export type Power = 'running' | 'off' | 'saved' | 'paused';
/** What the guest's VSS service does when it is asked to freeze. */
export type VssMode = 'ok' | 'disabled' | 'no-contact' | 'timeout' | 'fails';
/**
 * What the guest's shutdown service does when it is asked (hyperv-classes, Msvm_ShutdownComponent): `disabled` is its EnabledState 3;
 * `hangs` takes the request, and the guest never goes.
 */
export type ShutdownMode = 'ok' | 'locked' | 'not-ready' | 'disabled' | 'hangs';
/** 1 application, 2 crash, as in Msvm_VirtualSystemReferencePoint. */
export type Consistency = 1 | 2;

export interface DiskFile {
  /** `C:\VMs\a.vhdx` */
  path: string;
  /** Number of the tracking seal the file shows since it was frozen; absent while it is the leaf. */
  frozenAt?: number;
}

export interface DiskState {
  /** VirtualDiskId, upper case: what the disk is known by. */
  readonly id: string;
  /** Bytes. */
  size: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  /** Base first, leaf last. */
  readonly files: DiskFile[];
}

export interface ControllerState {
  readonly kind: 'ide' | 'scsi';
  /** SCSI: GUID of the controller. IDE controllers share one that is fixed. */
  readonly id: string;
}

/** A place on a controller with something in it. */
export interface DriveState {
  /** Index among the VM's controllers. */
  readonly controller: number;
  readonly slot: number;
  readonly kind: 'disk' | 'physical' | 'dvd';
  /** Of a disk: its VirtualDiskId. */
  readonly diskId?: string;
  /** Other VMs may write to the disk too (PersistentReservationsSupported, hyperv-classes: a disk that is shared). */
  readonly shared?: true;
  /** Of a DVD: the ISO file. Of a physical disk: its device id on the host. */
  readonly path?: string;
}

export interface CheckpointState {
  readonly id: string;
  readonly kind: 'recovery' | 'user';
  name: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  parent?: string;
  readonly consistency: Consistency;
  readonly drives: readonly DriveState[];
  readonly disks: readonly SealedDisk[];
}

/** A disk at a checkpoint. */
export interface SealedDisk {
  readonly diskId: string;
  /** The frozen file. */
  readonly path: string;
  readonly seal: number;
  readonly rctId: string;
}

export interface ReferencePointState {
  readonly id: string;
  readonly createdAt: number;
  readonly consistency: Consistency;
  readonly disks: readonly {
    diskId: string;
    controller: number;
    slot: number;
    seal: number;
    rctId: string;
  }[];
}

/** An instant the ground truth knows. A checkpoint's seal has the checkpoint's id. */
export interface SealState {
  readonly id: string;
  readonly vmId: string;
  readonly kind: 'recovery' | 'user' | 'mark';
  readonly at: number;
  /** What the content really is, whatever was asked for. */
  readonly consistency: 'application' | 'crash';
  readonly disks: readonly { diskId: string; size: number; rctId?: string }[];
}

export interface VmState {
  /** Upper case GUID. */
  readonly id: string;
  name: string;
  notes: string[];
  /** What the guest's integration services say it runs; absent: they say nothing. */
  readonly guestSystem?: string;
  /** Msvm_ComputerSystem.ReplicationMode as its page lists it: 1 primary, 2 replica, 3 test, 4 extended; absent: 0. */
  replicationMode?: number;
  /** Msvm_SecuritySettingData.ShieldingRequested. Nothing is encrypted. */
  readonly shielded?: boolean;
  power: Power;
  readonly generation: 1 | 2;
  /** Configuration version, as `9.0`. */
  readonly version: string;
  readonly processors: number;
  readonly memoryMiB: number;
  readonly createdAt: number;
  configuredAt: number;
  powerChangedAt: number | undefined;
  vss: VssMode;
  shutdown: ShutdownMode;
  /** AutomaticStartupAction: 2 nothing, 3 if it ran, 4 always; absent: 3. */
  startAction?: number;
  /** Its guest is a program of its own; absent: writes are scripted. */
  readonly guest?: 'qemu';
  /** OperationalStatus[1] set by hand. */
  busy?: number;
  readonly controllers: ControllerState[];
  drives: DriveState[];
  checkpoints: CheckpointState[];
  referencePoints: ReferencePointState[];
}

export interface HostState {
  readonly version: 1;
  readonly hostName: string;
  vms: VmState[];
  disks: DiskState[];
  seals: SealState[];
}

export class StateStore {
  readonly state: HostState;
  readonly #path: string;
  readonly #lock = new Mutex();

  private constructor(path: string, state: HostState) {
    this.#path = path;
    this.state = state;
  }

  static async open(folder: string, hostName: string): Promise<StateStore> {
    const path = join(folder, 'host.json');
    const text = await readFile(path, 'utf8').catch(() => undefined);
    const empty: HostState = { version: 1, hostName, vms: [], disks: [], seals: [] };
    return new StateStore(path, text === undefined ? empty : (JSON.parse(text) as HostState));
  }

  /** Writes the state as it is now. Change it without awaiting in between, so that no half change is ever saved. */
  save(): Promise<void> {
    return this.#lock.run(() => replaceFile(this.#path, JSON.stringify(this.state)));
  }
}
