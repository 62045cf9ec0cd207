/**
 * A Hyper-V host, typed. The only module that knows the `Msvm_*` classes; no XML and no WMI numbers leave it.
 *
 *   session (WinRM) ──► createHyperV ──► VMs, disks, checkpoints, reference points, changes
 *
 * VM ids are GUIDs in lower case. Disks are told apart by `virtualDiskId`, never by path or slot. Every call takes an
 * AbortSignal; calls that change the host look for their effect before they report anything else, and clean up what a
 * cancelled one left behind.
 */
import type { CallOptions } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import type { CimSession } from '../winrm/index.ts';
import { changedExtents } from './changed-extents.ts';
import { listCheckpoints, removeCheckpoint, type Checkpoint } from './checkpoints.ts';
import { readConfiguration, type VmConfiguration } from './configuration.ts';
import { convertCheckpoint } from './conversion.ts';
import { readDiskFileBytes, readDiskInfo, type DiskInfo } from './disk-info.ts';
import { disksOfSettings, disksOfVm, type AttachedDisk } from './disks.ts';
import { readVssReadiness, type VssReadiness } from './guest.ts';
import { systemClock, type Host, type HyperVClock } from './host.ts';
import { waitForMerge, waitUntilIdle, type WaitOptions } from './merge.ts';
import {
  readPower,
  readStartAction,
  setStartAction,
  shutDown,
  startVm,
  turnOff,
  type ShutDownOptions,
  type StartAction,
  type VmPower,
} from './power.ts';
import { makeRecoveryCheckpoint, type RecoveryCheckpointOptions } from './recovery-checkpoint.ts';
import { listReferencePoints, removeReferencePoint, type ReferencePoint } from './reference-points.ts';
import { findVm, listVms, type Vm } from './vms.ts';
import { listVolumes, type HostVolume } from './volumes.ts';

/** What a checkpoint or reference point is found by: also known from a journal, without having listed it. */
export type OnVm = Pick<Checkpoint, 'instanceId' | 'vmId'>;

export interface HyperV {
  /** Every VM the account may see. An account without rights sees none, and no error. */
  vms(options?: CallOptions): Promise<Vm[]>;
  /** One VM by id or name. Throws `HYPERV_VM_NOT_FOUND`, `HYPERV_VM_AMBIGUOUS` (lists the ids). */
  vm(nameOrId: string, options?: CallOptions): Promise<Vm>;
  /** Disks of the current settings; their paths are the active files. */
  disks(vmId: string, options?: CallOptions): Promise<AttachedDisk[]>;
  /** Throws `HYPERV_DISK_MISSING`, `HYPERV_DISK_IN_USE` (in a cluster: ask the node that runs the VM). */
  diskInfo(path: string, options?: CallOptions): Promise<DiskInfo>;
  /** Bytes of one disk file, without its parents. Throws as `diskInfo` does. */
  diskFileBytes(path: string, options?: CallOptions): Promise<number>;
  /** Of the machine that runs the VM; empty when it tells this account nothing. */
  volumes(vmId: string, options?: CallOptions): Promise<HostVolume[]>;
  configuration(vmId: string, options?: CallOptions): Promise<VmConfiguration>;
  /** Whether an application-consistent checkpoint can be asked for. */
  vssReady(vmId: string, options?: CallOptions): Promise<VssReadiness>;

  checkpoints(vmId: string, options?: CallOptions): Promise<Checkpoint[]>;
  /**
   * Freezes all disks at one instant and names the checkpoint. Disks that cannot be frozen (pass-through) are left out.
   *
   * Throws `HYPERV_CHECKPOINT_FAILED` (with `consistency`: for `application` the caller may try `crash`),
   * `HYPERV_CHECKPOINT_BLOCKED` (another backup's checkpoint is there), `HYPERV_WRONG_STATE`, `HYPERV_MARK_REFUSED`. After
   * any failure nothing is left on the host, except with `HYPERV_CHECKPOINT_LEFT`; with `HYPERV_EFFECT_MISSING` a host that
   * took too long may still make one.
   */
  createRecoveryCheckpoint(vmId: string, options: RecoveryCheckpointOptions): Promise<Checkpoint>;
  /** The disks as frozen by the checkpoint; their paths are the frozen files. */
  checkpointDisks(checkpoint: OnVm, options?: CallOptions): Promise<AttachedDisk[]>;
  /** One that is gone already is a success. */
  destroyCheckpoint(checkpoint: OnVm, options?: CallOptions): Promise<void>;

  /**
   * The checkpoint is deleted and its disks merge: every read of them must have ended. After a refusal (`HYPERV_OPERATION_FAILED`,
   * `HYPERV_WRONG_STATE`, `HYPERV_ACCESS_DENIED`) no reference point was made or it is gone again; after any other failure there
   * may be one.
   */
  convertToReferencePoint(checkpoint: OnVm, options?: CallOptions): Promise<ReferencePoint>;
  /** Those for change tracking, other products' included; a damaged one has no disks. */
  referencePoints(vmId: string, options?: CallOptions): Promise<ReferencePoint[]>;
  /** One that is gone already is a success. */
  destroyReferencePoint(point: OnVm, options?: CallOptions): Promise<void>;

  /**
   * Bytes of the disk that differ between the moment of `rctId` and what the frozen file `path` shows: sorted, merged,
   * inside `size` bytes. May say too much, never too little. Throws `HYPERV_BASELINE_LOST` when the host cannot tell: then
   * everything may have changed.
   */
  changedExtents(path: string, rctId: string, size: number, options?: CallOptions): AsyncIterable<Extent>;

  /** `merged` when the VM runs on files that will stay; `running` when the host still merges at the end of the time. */
  waitForMerge(vmId: string, options: WaitOptions): Promise<'merged' | 'running'>;
  waitUntilIdle(vmId: string, options: WaitOptions): Promise<'idle' | 'busy'>;

  /** State of the VM and when it changed last, asked now. */
  power(vmId: string, options?: CallOptions): Promise<VmPower>;
  /**
   * Asks the guest to shut down, and waits until the VM is off. Throws `HYPERV_SHUTDOWN_UNAVAILABLE`, `HYPERV_GUEST_LOCKED`
   * (without `force`).
   */
  shutDown(vmId: string, options: ShutDownOptions): Promise<'off' | 'still-on'>;
  /** As if the cable was pulled. One that is off already is a success. */
  turnOff(vmId: string, options?: CallOptions): Promise<void>;
  /** One that runs already is a success. */
  startVm(vmId: string, options?: CallOptions): Promise<void>;
  /** What the host does with the VM when it starts itself. */
  startAction(vmId: string, options?: CallOptions): Promise<StartAction | undefined>;
  setStartAction(vmId: string, action: StartAction, options?: CallOptions): Promise<void>;

  /** The same for work on one VM: in a cluster every call goes to the node that owns it, and follows it when it moves. */
  forVm(vmId: string): HyperV;
}

export interface HyperVOptions {
  readonly clock?: HyperVClock;
  /** First pause between two looks at a job, in ms; pauses grow to 2 s. */
  readonly pollMs?: number;
}

/** The session stays the caller's: close it there. */
export function createHyperV(session: CimSession, options: HyperVOptions = {}): HyperV {
  const host: Host = { session, clock: options.clock ?? systemClock, pollMs: options.pollMs ?? 100 };
  const hyperv: HyperV = {
    vms: (call = {}) => listVms(host, call),
    vm: (nameOrId, call = {}) => findVm(host, nameOrId, call),
    disks: (vmId, call = {}) => disksOfVm(host, vmId, call),
    diskInfo: (path, call = {}) => readDiskInfo(host, path, call),
    diskFileBytes: (path, call = {}) => readDiskFileBytes(host, path, call),
    volumes: (_vmId, call = {}) => listVolumes(session, call),
    configuration: (vmId, call = {}) => readConfiguration(host, vmId, call),
    vssReady: (vmId, call = {}) => readVssReadiness(host, vmId, call),
    checkpoints: (vmId, call = {}) => listCheckpoints(host, vmId, call),
    createRecoveryCheckpoint: (vmId, call) => makeRecoveryCheckpoint(host, vmId, call),
    checkpointDisks: ({ instanceId }, call = {}) => disksOfSettings(host, instanceId, call),
    destroyCheckpoint: (checkpoint, call = {}) => removeCheckpoint(host, checkpoint, call),
    convertToReferencePoint: (checkpoint, call = {}) => convertCheckpoint(host, checkpoint, call),
    referencePoints: (vmId, call = {}) => listReferencePoints(host, vmId, call),
    destroyReferencePoint: (point, call = {}) => removeReferencePoint(host, point, call),
    changedExtents: (path, rctId, size, call = {}) => changedExtents(host, { path, rctId, size }, call),
    waitForMerge: (vmId, call) => waitForMerge(host, vmId, call),
    waitUntilIdle: (vmId, call) => waitUntilIdle(host, vmId, call),
    power: (vmId, call = {}) => readPower(host, vmId, call),
    shutDown: (vmId, call) => shutDown(host, vmId, call),
    turnOff: (vmId, call = {}) => turnOff(host, vmId, call),
    startVm: (vmId, call = {}) => startVm(host, vmId, call),
    startAction: (vmId, call = {}) => readStartAction(host, vmId, call),
    setStartAction: (vmId, action, call = {}) => setStartAction(host, vmId, action, call),
    forVm: () => hyperv,
  };
  return hyperv;
}
