/**
 * The emulated host in this process: what tests and the control API steer. What clients see is {@link LabHost.provider}.
 *
 *   const host = await LabHost.open(folder, { settings: INSTANT });
 *   const vm = await host.createVm({ name: 'db', disks: [{ size: 64 * MiB }] });
 *   await host.guestWrite(vm.id, { offset: 0, bytes });
 *   const wire = await startWire({ provider: host.provider, users });
 *
 * VMs are named by GUID, or by name when only one has it. Refusals are {@link LabFailure}s.
 */
import { newGuid } from '../../src/base/index.ts';
import type { LabCimProvider } from '../cim.ts';
import { realClock, type LabClock } from './clock.ts';
import { HostCore } from './core.ts';
import {
  addDisk,
  addDrive,
  attachDisk,
  controllersOf,
  detachDisk,
  exchangeDisk,
  moveDisk,
  replaceDisk,
  resizeDisk,
  type DiskSpec,
  type Place,
} from './equipment.ts';
import { LabFailure } from './failure.ts';
import type { GuestScript } from './guest.ts';
import type { Power, SealState, ShutdownMode, VmState, VssMode } from './host-state.ts';
import { diskInfo, vmInfo, type DiskInfo, type VmInfo } from './inventory.ts';
import { JOB_TYPE } from './jobs.ts';
import type { StartGuest } from './live-guest.ts';
import { openJudgedImage, type JudgedFormat } from './judged-image.ts';
import type { Machine } from './machine.ts';
import { settingsPath, systemPath } from './object-paths.ts';
import { DEFAULT_OPTIONS, withSettings, type LabOptions, type LabSettings } from './options.ts';
import { LabProvider } from './provider.ts';
import { Random } from './random.ts';
import type { FaultRule } from './rehearsal.ts';
import { RETURN } from './return-codes.ts';
import type { TruthReader } from './truth-reader.ts';

export interface LabHostOptions {
  /** Of a new host; default `HV01`. */
  readonly hostName?: string;
  readonly clock?: LabClock;
  readonly settings?: LabSettings;
  /** How guests that are real are started; without it there are none. */
  readonly startGuest?: StartGuest;
}

export interface VmSpec {
  readonly name: string;
  readonly generation?: 1 | 2;
  /** Default `running`. */
  readonly power?: Power;
  readonly version?: string;
  readonly notes?: readonly string[];
  /** The name of its operating system, as the guest tells it to the host; default: it tells nothing. */
  readonly guestSystem?: string;
  /** Its part in Hyper-V Replica: 1 primary, 2 replica, 3 test replica, 4 extended replica. */
  readonly replicationMode?: number;
  /** It says that it is shielded; its disks are as they are. */
  readonly shielded?: boolean;
  /** Its guest is real: QEMU on its disks. Default: none, and what is written is scripted. */
  readonly guest?: 'qemu';
  readonly processors?: number;
  readonly memoryMiB?: number;
  readonly scsiControllers?: number;
  readonly disks?: readonly DiskSpec[];
}

export interface GuestWriteSpec {
  /** Default: the first disk. */
  readonly diskId?: string;
  readonly offset: number;
  /** Given, or made of `length` and `seed`. */
  readonly bytes?: Uint8Array;
  readonly length?: number;
  readonly seed?: number;
  /** It stays in the guest's cache, which a VSS freeze flushes. */
  readonly cached?: boolean;
}

export interface GuestRange {
  readonly diskId?: string;
  readonly offset: number;
  readonly length: number;
}

export class LabHost {
  readonly provider: LabCimProvider;
  readonly #core: HostCore;

  private constructor(core: HostCore) {
    this.#core = core;
    this.provider = new LabProvider(core);
  }

  /** Opens the host kept in `folder`, or a new one without VMs. */
  static async open(folder: string, options: LabHostOptions = {}): Promise<LabHost> {
    const core = await HostCore.open({
      folder,
      hostName: options.hostName ?? 'HV01',
      clock: options.clock ?? realClock,
      options: withSettings(DEFAULT_OPTIONS, options.settings ?? {}),
      startGuest: options.startGuest,
    });
    return new LabHost(core);
  }

  /** The folder that holds what `C:\` and the other drives hold. */
  get volumesFolder(): string {
    return this.#core.volumes.folder;
  }

  get options(): LabOptions {
    return this.#core.options;
  }

  configure(settings: LabSettings): Promise<void> {
    this.#core.options = withSettings(this.#core.options, settings);
    return Promise.resolve();
  }

  async createVm(spec: VmSpec): Promise<VmInfo> {
    const machine = this.#core.addMachine(newVm(spec, this.#core.clock.now()));
    this.#core.state.vms.push(machine.state);
    await this.#core.save();
    for (const disk of spec.disks ?? []) await addDisk(this.#core, machine, disk);
    await this.#begin(machine, spec.power ?? 'running');
    // As on a host: whoever looks for the rows of one job finds those of others beside them.
    this.#core.jobs.start({
      type: JOB_TYPE.define,
      owner: `${this.#core.state.hostName}\\Administrator`,
      affected: systemPath(machine.state.id),
      work: () => Promise.resolve(settingsPath(machine.state.id)),
    });
    return vmInfo(this.#core, machine);
  }

  async #begin(machine: Machine, power: Power): Promise<void> {
    if (machine.program && power !== 'off')
      await machine.changePower(power, this.#core.clock.now(), { flushed: false });
    machine.state.power = power;
    await this.#core.save();
  }

  /** Removes a VM and its disks. */
  async removeVm(vm: string): Promise<void> {
    const machine = this.#machine(vm);
    await machine.stopWriter();
    await machine.program?.abandon();
    await this.#core.settle();
    const disks = machine.disks();
    this.#core.state.vms = this.#core.state.vms.filter((state) => state !== machine.state);
    this.#core.machines.delete(machine.state.id);
    for (const disk of disks) await this.#core.removeDisk(disk);
    await this.#core.save();
  }

  vms(): Promise<VmInfo[]> {
    return Promise.resolve([...this.#core.machines.values()].map((machine) => vmInfo(this.#core, machine)));
  }

  async vm(vm: string): Promise<VmInfo> {
    return vmInfo(this.#core, this.#machine(vm));
  }

  /** Changes power at once. `flushed`: the guest wrote out its cache first, as in a clean shutdown. */
  async setPower(vm: string, power: Power, options: { flushed?: boolean } = {}): Promise<void> {
    const machine = this.#machine(vm);
    await machine.changePower(power, this.#core.clock.now(), { flushed: options.flushed ?? false });
    await this.#core.save();
  }

  /** How the guest's services answer from now on; `busy` is OperationalStatus[1], null for none. */
  async setGuest(
    vm: string,
    guest: { vss?: VssMode; shutdown?: ShutdownMode; busy?: number | null },
  ): Promise<void> {
    const { state } = this.#machine(vm);
    state.vss = guest.vss ?? state.vss;
    state.shutdown = guest.shutdown ?? state.shutdown;
    if (guest.busy === null) delete state.busy;
    else if (guest.busy !== undefined) state.busy = guest.busy;
    await this.#core.save();
  }

  async addDisk(vm: string, spec: DiskSpec): Promise<DiskInfo> {
    const machine = this.#machine(vm);
    return diskInfo(machine, await addDisk(this.#core, machine, spec));
  }

  async attachDisk(vm: string, diskId: string, at?: Place): Promise<void> {
    await attachDisk(this.#core, this.#machine(vm), diskId, at);
  }

  async detachDisk(vm: string, diskId: string): Promise<void> {
    await detachDisk(this.#core, this.#machine(vm), diskId);
  }

  async replaceDisk(vm: string, diskId: string, spec: DiskSpec): Promise<DiskInfo> {
    const machine = this.#machine(vm);
    return diskInfo(machine, await replaceDisk(this.#core, machine, diskId, spec));
  }

  async resizeDisk(vm: string, diskId: string, size: number): Promise<void> {
    await resizeDisk(this.#core, this.#machine(vm), diskId, size);
  }

  /** Gives the file of a disk without checkpoints another path on the host. */
  async moveDisk(vm: string, diskId: string, path: string): Promise<void> {
    await moveDisk(this.#core, this.#machine(vm), diskId, path);
  }

  /** Exchanges the file for a copy with the same identity and other bytes in the range; its tracking is lost. */
  async exchangeDisk(vm: string, range: GuestRange & { diskId: string; seed: number }): Promise<void> {
    const bytes = new Random(range.seed).bytes(range.length);
    await exchangeDisk(this.#machine(vm), range.diskId, { offset: range.offset, bytes });
  }

  /** Every tracking id the host gave for this disk is unknown from now on. */
  async resetTracking(vm: string, diskId: string): Promise<void> {
    const machine = this.#machine(vm);
    await machine.lock.run(() => machine.disk(diskId).tracker.forget());
  }

  /** `path`: the ISO file, or the device id of a physical disk. */
  async addDrive(vm: string, drive: { kind: 'dvd' | 'physical'; path: string; at?: Place }): Promise<void> {
    await addDrive(this.#core, this.#machine(vm), drive);
  }

  async guestWrite(vm: string, write: GuestWriteSpec): Promise<void> {
    const machine = this.#machine(vm);
    const bytes = write.bytes ?? new Random(write.seed ?? 0).bytes(write.length ?? 65536);
    const { id } = machine.disk(write.diskId).state;
    const whole = { diskId: id, offset: write.offset, bytes, length: bytes.length };
    await (write.cached ? machine.guestCache(whole) : machine.guestWrite(whole));
  }

  async guestTrim(vm: string, range: GuestRange): Promise<void> {
    const machine = this.#machine(vm);
    const { id } = machine.disk(range.diskId).state;
    await machine.guestWrite({ diskId: id, offset: range.offset, length: range.length });
  }

  async guestRead(vm: string, range: GuestRange): Promise<Uint8Array> {
    const bytes = new Uint8Array(range.length);
    await this.#machine(vm).guestRead(range.diskId, range.offset, bytes);
    return bytes;
  }

  /** Runs a scripted writer to its end. */
  async guestRun(vm: string, script: GuestScript & { writes: number }): Promise<void> {
    await this.#machine(vm).runScript(script);
  }

  /** Starts a scripted writer that goes on in the background. */
  async startWriter(vm: string, script: GuestScript): Promise<void> {
    this.#machine(vm).startWriter(script, (milliseconds, signal) =>
      this.#core.clock.sleep(milliseconds, signal),
    );
  }

  async stopWriter(vm: string): Promise<void> {
    await this.#machine(vm).stopWriter();
  }

  /** Every instant the ground truth of the VM knows, oldest first. */
  async seals(vm: string): Promise<readonly SealState[]> {
    const { id } = this.#machine(vm).state;
    return this.#core.state.seals.filter(({ vmId }) => vmId === id);
  }

  /** Marks this instant in the ground truth, without a checkpoint. */
  async mark(vm: string): Promise<SealState> {
    const machine = this.#machine(vm);
    const seal = await machine.lock.run(async (): Promise<SealState> => {
      const id = newGuid().toUpperCase();
      for (const disk of machine.disks()) await disk.markTruth(id);
      const disks = machine.disks().map(({ state }) => ({ diskId: state.id, size: state.size }));
      const consistency = machine.state.power === 'off' ? 'application' : 'crash';
      return { id, vmId: machine.state.id, kind: 'mark', at: this.#core.clock.now(), consistency, disks };
    });
    this.#core.state.seals.push(seal);
    await this.#core.save();
    return seal;
  }

  /** The exact content of a disk at a seal, or with `now` as it is. The caller closes it. */
  async truthReader(sealId: string, diskId: string): Promise<TruthReader> {
    const disk = this.#core.disks.get(diskId.toUpperCase());
    const reader = await disk?.truth(sealId === 'now' ? undefined : sealId.toLowerCase());
    if (!reader)
      throw new LabFailure(RETURN.invalidParameter, `there is no disk ${diskId} at seal ${sealId}`);
    return reader;
  }

  async truthRead(sealId: string, range: GuestRange & { diskId: string }): Promise<Uint8Array> {
    const reader = await this.truthReader(sealId, range.diskId);
    try {
      const bytes = new Uint8Array(range.length);
      await reader.read(range.offset, bytes);
      return bytes;
    } finally {
      await reader.close();
    }
  }

  /** Bytes of the disk at the seal. */
  async truthSize(sealId: string, diskId: string): Promise<number> {
    const reader = await this.truthReader(sealId, diskId);
    await reader.close();
    return reader.size;
  }

  /** The first byte at which an image differs from the disk at the seal, or null. */
  async compareImage(
    sealId: string,
    diskId: string,
    path: string,
    format: JudgedFormat = 'raw',
  ): Promise<number | null> {
    const reader = await this.truthReader(sealId, diskId);
    try {
      const image = await openJudgedImage(path, format);
      try {
        return (await reader.firstDifference(image)) ?? null;
      } finally {
        await image.close();
      }
    } finally {
      await reader.close();
    }
  }

  addFault(rule: FaultRule): Promise<void> {
    this.#core.rehearsal.add(rule);
    return Promise.resolve();
  }

  clearFaults(): Promise<void> {
    this.#core.rehearsal.clear();
    return Promise.resolve();
  }

  /** While held, AVHDX files of the VM are not merged. */
  async holdMerges(vm: string, held: boolean): Promise<void> {
    this.#core.merging.hold(this.#machine(vm), held);
  }

  /** Every job and merge under way has ended. */
  settle(): Promise<void> {
    return this.#core.settle();
  }

  close(): Promise<void> {
    return this.#core.close();
  }

  /**
   * The host is gone from one moment to the next: what guests had cached is lost, jobs and merges end where they are, and of
   * the changes since the last seal only the coarse region table is left, so that more is reported afterwards than changed.
   */
  losePower(): Promise<void> {
    return this.#core.losePower();
  }

  /** The host restarts: guests are cut off, and VMs are started again, or not, as their AutomaticStartupAction says. */
  async restart(): Promise<void> {
    for (const machine of this.#core.machines.values()) {
      const { isOn, startsWithHost } = machine;
      if (isOn) await machine.changePower('off', this.#core.clock.now(), { flushed: false });
      if (startsWithHost) await machine.changePower('running', this.#core.clock.now(), { flushed: false });
    }
    await this.#core.save();
  }

  #machine(vm: string): Machine {
    const byId = this.#core.machine(vm);
    if (byId) return byId;
    const named = [...this.#core.machines.values()].filter(({ state }) => state.name === vm);
    if (named.length !== 1) {
      const why = named.length === 0 ? 'there is no VM' : `${named.length} VMs are called`;
      throw new LabFailure(
        RETURN.invalidParameter,
        `${why} ${vm}; VMs are named by id, or by a name only one has`,
      );
    }
    return named[0]!;
  }
}

function newVm(spec: VmSpec, now: number): VmState {
  const generation = spec.generation ?? 2;
  return {
    id: newGuid().toUpperCase(),
    name: spec.name,
    notes: [...(spec.notes ?? [])],
    ...(spec.guestSystem === undefined ? {} : { guestSystem: spec.guestSystem }),
    ...(spec.replicationMode === undefined ? {} : { replicationMode: spec.replicationMode }),
    ...(spec.shielded === undefined ? {} : { shielded: spec.shielded }),
    ...(spec.guest === undefined ? {} : { guest: spec.guest }),
    power: 'off',
    generation,
    version: spec.version ?? '9.0',
    processors: spec.processors ?? 2,
    memoryMiB: spec.memoryMiB ?? 2048,
    createdAt: now,
    configuredAt: now,
    powerChangedAt: spec.power === 'off' ? undefined : now,
    vss: 'ok',
    shutdown: 'ok',
    controllers: controllersOf(generation, spec.scsiControllers ?? 1),
    drives: [],
    checkpoints: [],
    referencePoints: [],
  };
}
