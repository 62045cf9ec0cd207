/** The running host: its state, disks and machines, held together and kept over restarts. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LabClock } from './clock.ts';
import { LabFailure } from './failure.ts';
import { guestMachine } from './guest-machine.ts';
import { GuestProgram } from './guest-program.ts';
import { StateStore, type DiskState, type HostState, type VmState } from './host-state.ts';
import { JobTable } from './jobs.ts';
import type { StartGuest } from './live-guest.ts';
import { Machine } from './machine.ts';
import { Merging } from './merging.ts';
import type { LabOptions } from './options.ts';
import { Rehearsal } from './rehearsal.ts';
import { RETURN } from './return-codes.ts';
import { VirtualDisk, truthFolder } from './virtual-disk.ts';
import { Volumes, fileName, samePath } from './volumes.ts';

/** How Hyper-V names the file a checkpoint's writes go to. */
const AVHDX = /_[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\.avhdx$/i;

export interface CoreOptions {
  readonly folder: string;
  readonly hostName: string;
  readonly clock: LabClock;
  readonly options: LabOptions;
  readonly startGuest?: StartGuest | undefined;
}

export class HostCore {
  readonly folder: string;
  readonly clock: LabClock;
  readonly volumes: Volumes;
  readonly disks = new Map<string, VirtualDisk>();
  readonly machines = new Map<string, Machine>();
  readonly jobs: JobTable;
  readonly merging: Merging;
  readonly rehearsal = new Rehearsal();
  options: LabOptions;
  readonly #startGuest: StartGuest | undefined;
  readonly #store: StateStore;

  private constructor(settings: CoreOptions, store: StateStore) {
    this.folder = settings.folder;
    this.clock = settings.clock;
    this.options = settings.options;
    this.#startGuest = settings.startGuest;
    this.volumes = new Volumes(settings.folder);
    this.#store = store;
    this.jobs = new JobTable(this.clock, () => this.options);
    this.merging = new Merging({
      clock: this.clock,
      options: () => this.options,
      state: this.state,
      save: () => this.save(),
    });
  }

  static async open(settings: CoreOptions): Promise<HostCore> {
    await mkdir(settings.folder, { recursive: true });
    const core = new HostCore(settings, await StateStore.open(settings.folder, settings.hostName));
    for (const disk of core.state.disks) await core.openDisk(disk);
    for (const vm of core.state.vms) core.addMachine(vm);
    await core.#removeOrphans();
    await core.retainSeals(core.disks.values());
    for (const machine of core.machines.values()) core.merging.kick(machine);
    await core.#startGuests();
    return core;
  }

  get state(): HostState {
    return this.#store.state;
  }

  save(): Promise<void> {
    return this.#store.save();
  }

  async openDisk(state: DiskState): Promise<VirtualDisk> {
    const { regionBytes, changes } = this.options;
    const grid = { regionBytes, granularityBytes: changes.granularityBytes };
    const disk = await VirtualDisk.open(state, this.folder, this.volumes, grid);
    this.disks.set(state.id, disk);
    return disk;
  }

  /** Opens a new disk whose ground truth was prepared in `staging`. The caller makes it part of the state. */
  async adoptDisk(state: DiskState, staging: string): Promise<VirtualDisk> {
    await rename(staging, truthFolder(this.folder, state.id));
    return this.openDisk(state);
  }

  addMachine(state: VmState): Machine {
    const machine = new Machine(state, this.disks);
    if (state.guest) machine.program = this.#programOf(machine);
    this.machines.set(state.id, machine);
    return machine;
  }

  #programOf(machine: Machine): GuestProgram {
    const start = this.#startGuest;
    if (!start) throw new LabFailure(RETURN.notSupported, 'this host has no real guests');
    return new GuestProgram(
      () => start(guestMachine(machine)),
      async () => {
        await machine.wentOff(this.clock.now());
        await this.save();
      },
    );
  }

  /** Of a host that ended, the programs ended too. */
  async #startGuests(): Promise<void> {
    for (const { program, state, isOn, startsWithHost } of this.machines.values()) {
      if (!program || (!isOn && !startsWithHost)) continue;
      if (startsWithHost) await program.change('off', 'running', { flushed: false });
      state.power = startsWithHost ? 'running' : 'off';
    }
  }

  /** A VM by its GUID, in any case. */
  machine(id: string): Machine | undefined {
    return this.machines.get(id.toUpperCase());
  }

  /** The disk one of whose files is at `path`. */
  diskAt(path: string): VirtualDisk | undefined {
    return [...this.disks.values()].find((disk) => disk.fileAt(path));
  }

  machineOf(disk: VirtualDisk): Machine | undefined {
    return [...this.machines.values()].find((machine) => machine.disks().includes(disk));
  }

  /** OperationalStatus[1]: what a VM is busy with. */
  busyWith(machine: Machine): number | undefined {
    return machine.state.busy ?? machine.working ?? (this.merging.isMerging(machine) ? 32772 : undefined);
  }

  /** Forgets the tracking ids nothing refers to any more. */
  async retainSeals(disks: Iterable<VirtualDisk>): Promise<void> {
    if (this.options.keepUnreferencedIds) return;
    for (const disk of disks) await disk.retain(this.#sealsOf(disk.state.id));
  }

  async removeDisk(disk: VirtualDisk): Promise<void> {
    await disk.close();
    this.disks.delete(disk.state.id);
    this.state.disks = this.state.disks.filter((state) => state !== disk.state);
    await this.save();
    await disk.tracker.remove();
    for (const file of disk.state.files) await disk.deleteFile(file.path);
    await rm(truthFolder(this.folder, disk.state.id), { recursive: true, force: true });
  }

  /** Every job and merge under way has ended. */
  async settle(): Promise<void> {
    await this.jobs.settle();
    await this.merging.settle();
  }

  async close(): Promise<void> {
    for (const machine of this.machines.values()) await machine.stopWriter();
    await this.jobs.close();
    for (const { program } of this.machines.values()) await program?.abandon();
    await this.merging.close();
    for (const machine of this.machines.values()) await machine.lock.run(() => machine.flushCache());
    for (const disk of this.disks.values()) await disk.close();
    await this.save();
  }

  /** As {@link close}, but nothing that a clean stop writes down is written. */
  async losePower(): Promise<void> {
    for (const { program } of this.machines.values()) await program?.abandon();
    for (const machine of this.machines.values()) await machine.stopWriter();
    await this.jobs.close();
    await this.merging.close();
    for (const machine of this.machines.values()) await machine.lock.run(async () => machine.cache.drain());
    for (const disk of this.disks.values()) await disk.abandon();
  }

  #sealsOf(diskId: string): Set<number> {
    const points = this.state.vms.flatMap((vm) => [...vm.referencePoints, ...vm.checkpoints]);
    return new Set(
      points.flatMap((point) => point.disks.filter((disk) => disk.diskId === diskId).map(({ seal }) => seal)),
    );
  }

  /** AVHDX files that a killed process had created and not yet, or no longer, made part of a chain. */
  async #removeOrphans(): Promise<void> {
    const known = this.state.disks.flatMap((disk) => disk.files.map((file) => file.path));
    for (const folder of new Set(known.map((path) => dirname(this.volumes.localPath(path))))) {
      for (const name of await readdir(folder)) {
        const isKnown = known.some((path) => samePath(fileName(path), name));
        if (AVHDX.test(name) && !isKnown) await rm(join(folder, name));
      }
    }
  }
}
