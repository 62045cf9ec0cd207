/** One VM: its state, its guest, and the lock that makes a freeze one instant for all its disks. */
import { Mutex } from '../../src/base/index.ts';
import { LabFailure } from './failure.ts';
import type { GuestProgram } from './guest-program.ts';
import { GuestCache, type GuestScript, type GuestWrite, type ScriptedDisk, scriptedWrites } from './guest.ts';
import type { Power, VmState, VssMode } from './host-state.ts';
import { RETURN } from './return-codes.ts';
import type { VirtualDisk } from './virtual-disk.ts';

/** Writes the cache holds before the guest writes them out by itself: 16 MiB of 64 KiB writes. */
const CACHED_WRITES_MAX = 256;

export class Machine {
  readonly state: VmState;
  /** Held by whoever touches the disks: guest writes, freezes, merges. */
  readonly lock = new Mutex();
  readonly cache = new GuestCache();
  /** OperationalStatus[1] of a job that works on the VM now. */
  working: number | undefined;
  /** Of a VM whose guest is real. */
  program: GuestProgram | undefined;
  readonly #disks: ReadonlyMap<string, VirtualDisk>;
  #leaving: AbortController | undefined;
  #writer: { stop: AbortController; done: Promise<void> } | undefined;

  constructor(state: VmState, disks: ReadonlyMap<string, VirtualDisk>) {
    this.state = state;
    this.#disks = disks;
  }

  get isRunning(): boolean {
    return this.state.power === 'running';
  }

  /** When its host starts, by AutomaticStartupAction. */
  get startsWithHost(): boolean {
    const { startAction = 3 } = this.state;
    return startAction === 4 || (startAction === 3 && this.isOn);
  }

  get isOn(): boolean {
    return this.isRunning || this.state.power === 'paused';
  }

  /** What its VSS service does; that of a real guest does nothing before it is there. */
  get vss(): VssMode {
    const { vss } = this.state;
    return vss === 'ok' && this.program && !this.program.answers ? 'no-contact' : vss;
  }

  /** The virtual disks in its drives, in the order of controllers and slots. */
  disks(): VirtualDisk[] {
    return this.state.drives.flatMap((drive) => (drive.diskId ? [this.#disks.get(drive.diskId)!] : []));
  }

  disk(diskId?: string): VirtualDisk {
    const disks = this.disks();
    const disk =
      diskId === undefined ? disks[0] : disks.find(({ state }) => state.id === diskId.toUpperCase());
    if (!disk)
      throw new LabFailure(RETURN.invalidParameter, `${this.state.name} has no disk ${diskId ?? ''}`);
    return disk;
  }

  guestWrite(write: GuestWrite): Promise<void> {
    this.#mustRun();
    return this.lock.run(() => this.#apply(write));
  }

  /** Keeps a write in the guest's cache; when that is full, the guest writes it out. */
  async guestCache(write: GuestWrite): Promise<void> {
    this.#mustRun();
    this.cache.add(write);
    if (this.cache.length > CACHED_WRITES_MAX) await this.lock.run(() => this.flushCache());
  }

  guestRead(diskId: string | undefined, offset: number, into: Uint8Array): Promise<void> {
    return this.lock.run(() => this.disk(diskId).read(offset, into));
  }

  /** What a VSS freeze or a clean shutdown does; the caller holds the lock. */
  async flushCache(): Promise<void> {
    for (const write of this.cache.drain()) await this.#apply(write);
  }

  /** Runs a script to its end, as fast as it goes. */
  async runScript(script: GuestScript & { readonly writes: number }): Promise<void> {
    for (const { cached, ...write } of scriptedWrites(script, this.#scripted())) {
      await (cached ? this.guestCache(write) : this.guestWrite(write));
    }
  }

  /** Runs a script in the background, until it ends, {@link Machine.stopWriter}, or the VM stops. */
  startWriter(
    script: GuestScript,
    pause: (milliseconds: number, signal: AbortSignal) => Promise<void>,
  ): void {
    if (this.#writer) throw new LabFailure(RETURN.invalidState, 'a writer runs in this guest already');
    const stop = new AbortController();
    const done = this.#write(script, stop.signal, pause).finally(() => {
      this.#writer = undefined;
    });
    this.#writer = { stop, done };
  }

  /** Its guest was asked to shut down, and is at it. */
  get isLeaving(): boolean {
    return this.#leaving !== undefined;
  }

  /** `work` ends with the VM off, unless it is given up when the VM stops otherwise. */
  leave(work: (signal: AbortSignal) => Promise<void>): void {
    const leaving = new AbortController();
    this.#leaving = leaving;
    void work(leaving.signal)
      .catch(() => {})
      .finally(() => {
        if (this.#leaving === leaving) this.#leaving = undefined;
      });
  }

  get hasWriter(): boolean {
    return this.#writer !== undefined;
  }

  async stopWriter(): Promise<void> {
    this.#leaving?.abort();
    this.#leaving = undefined;
    this.#writer?.stop.abort();
    await this.#writer?.done;
  }

  /** Brings the VM into another state of power; what a stopping guest has cached is `flushed` or lost. */
  async changePower(power: Power, now: number, options: { flushed: boolean }): Promise<void> {
    if (power !== 'running') await this.stopWriter();
    await this.program?.change(this.state.power, power, options);
    await this.lock.run(async () => {
      if (options.flushed) await this.flushCache();
      else if (power === 'off') this.cache.drain();
      await this.#enter(power, now);
    });
  }

  /** Its guest went off by itself. */
  async wentOff(now: number): Promise<void> {
    await this.stopWriter();
    await this.lock.run(() => this.#enter('off', now));
  }

  async #enter(power: Power, now: number): Promise<void> {
    if (power !== 'running') for (const disk of this.disks()) await disk.settle();
    this.state.power = power;
    this.state.powerChangedAt = now;
  }

  async #write(
    script: GuestScript,
    signal: AbortSignal,
    pause: (milliseconds: number, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    // Writes come in bursts of a twentieth of a second: a timer for each would be the limit at high rates.
    const burst = Math.max(1, Math.round((script.writesPerSecond ?? 50) / 20));
    let left = burst;
    for (const { cached, ...write } of scriptedWrites(script, this.#scripted())) {
      if (signal.aborted || !this.isRunning) return;
      await (cached ? this.guestCache(write) : this.guestWrite(write));
      left -= 1;
      if (left > 0) continue;
      left = burst;
      await pause(50, signal).catch(() => {});
    }
  }

  #scripted(): ScriptedDisk[] {
    const disks = this.disks().map(({ state }) => ({
      diskId: state.id,
      size: state.size,
      sectorSize: state.logicalSectorSize,
    }));
    if (disks.length === 0)
      throw new LabFailure(RETURN.invalidState, `${this.state.name} has no disk to write to`);
    return disks;
  }

  async #apply(write: GuestWrite): Promise<void> {
    const disk = this.disk(write.diskId);
    if (write.bytes) await disk.write(write.offset, write.bytes);
    else await disk.trim(write.offset, write.length);
  }

  #mustRun(): void {
    if (!this.isRunning)
      throw new LabFailure(RETURN.invalidState, `the guest of ${this.state.name} does not run`);
    // It keeps in memory what it thinks is on its disks.
    if (this.program)
      throw new LabFailure(
        RETURN.invalidState,
        `the guest of ${this.state.name} is real and writes by itself`,
      );
  }
}
