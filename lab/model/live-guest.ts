/**
 * A guest that is a program of its own, on the disks of a VM: what the host does to it, and what it does to the host.
 * `lab/guest-qemu` has one; the model knows only this.
 */

export interface LiveGuest {
  /** Resolves when it is off, for whatever reason, and everything it wrote has arrived. */
  readonly off: Promise<void>;
  /** A service in it answers: it can be asked to freeze. */
  readonly answers: boolean;
  /** Everything written is on its disks, and nothing more is written until {@link thaw}. Throws when no answer came in time. */
  freeze(limitMs: number): Promise<void>;
  thaw(limitMs: number): Promise<void>;
  /** A press of the power button, which a guest may take its time for, or ignore. */
  pressPowerButton(): void;
  reset(): void;
  pause(): void;
  resume(): void;
  /** As if its cable was pulled. Resolves as {@link off} does. */
  turnOff(): Promise<void>;
}

/** A disk as its guest sees it. Each call is one moment between two checkpoints, never in the middle of one. */
export interface GuestDisk {
  /** Bytes. */
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Reads as zeros afterwards. */
  zero(offset: number, length: number): Promise<void>;
}

export interface GuestMachine {
  /** Upper case GUID. */
  readonly id: string;
  readonly name: string;
  readonly generation: 1 | 2;
  readonly processors: number;
  readonly memoryMiB: number;
  /** In the order of controllers and slots. */
  readonly disks: readonly GuestDisk[];
}

/** Starts what the VM describes. Throws when it does not come to run its first instruction. */
export type StartGuest = (machine: GuestMachine) => Promise<LiveGuest>;
