/**
 * Hypervisors: what runs a machine in the place of a captured VM, for a rehearsal or for good.
 *
 *   prepare ──► define ──► start ──► shutDown (asks the guest) or powerOff ──► undefine
 *                 │                                                              │
 *                 └── again: the definition is replaced ◄────── off ─────────────┴── its disks stay
 *
 * A machine is known by its uuid, and carries the mark of its owner: whatever has no such mark, or that of another replica, is
 * somebody else's, and no call here changes it. Every call may be made again: what is done already is not an error.
 */
import type { Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Machine } from '../machines/index.ts';

/** Whose a machine is; kept beside its definition. */
export interface MachineOwner {
  /** GUID of the VM on its host. */
  readonly vmId: string;
  /** Id of the replica: hexadecimal digits. */
  readonly replica: string;
  /** Of the replica, that the machine started from. */
  readonly generation: number;
  readonly purpose: 'rehearsal' | 'cutover';
}

export interface OwnedMachine extends Machine {
  /** By which every other call names it: lower case, no braces. */
  readonly uuid: string;
  readonly owner: MachineOwner;
  /**
   * File that gets what the guest writes to its first serial port, appended; absolute, on the machine of the hypervisor. Left
   * out: QEMU alone has one of its own, libvirt keeps nothing.
   */
  readonly serialLog?: string;
}

/**
 * `off`: defined, and not running. `crashed`: the same, but it ended without its guest or anybody asking for that, or it stands
 * still because its guest panicked. `paused`: it stands still, such as for a disk that is full.
 */
export type MachineState = 'absent' | 'off' | 'running' | 'paused' | 'crashed';

export interface Hypervisor {
  /** As it was opened by. */
  readonly address: string;
  /** One line for people. */
  describe(): string;
  /**
   * Finds out what would fail later: is there firmware, memory, the networks; is the name or the uuid taken by somebody else?
   * Writes nothing. Any `HYPERVISOR_` or `MACHINE_` fault; what only has to be known comes back.
   */
  prepare(machine: OwnedMachine, options?: CallOptions): Promise<readonly Warning[]>;
  /** Replaces a definition that is of the same replica and off. Throws `HYPERVISOR_FOREIGN_MACHINE`, `HYPERVISOR_MACHINE_RUNS`. */
  define(machine: OwnedMachine, options?: CallOptions): Promise<void>;
  /** Of a machine of somebody else too. */
  state(machineId: string, options?: CallOptions): Promise<MachineState>;
  /** Returns when it runs. Throws `HYPERVISOR_NO_MACHINE`, `HYPERVISOR_START_FAILED`. */
  start(machineId: string, options?: CallOptions): Promise<void>;
  /** Presses the power button; the guest may take its time, or not listen. Nothing to do when it is off or absent. */
  shutDown(machineId: string, options?: CallOptions): Promise<void>;
  /** As if its cable was pulled. It is off when this returns. */
  powerOff(machineId: string, options?: CallOptions): Promise<void>;
  /** Off first. Never touches its disks, nor its serial log where one was named. */
  undefine(machineId: string, options?: CallOptions): Promise<void>;
  /**
   * Whether a TCP port of the running guest answers, by its adapter on a `forwarded` network. Absent where a hypervisor has no
   * such network.
   */
  reaches?(machineId: string, port: number, options?: CallOptions): Promise<boolean>;
  close(): Promise<void>;
}
