/**
 * Both sides of a cutover in memory: a VM that can be on or off, and a hypervisor. Every call is a step at which the run can
 * die, and it is watched that never both run.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KiB, silentProgress } from '../base/index.ts';
import type { Capture, CaptureRequest } from '../capture/index.ts';
import type { MemoryDisk } from '../disk/index.ts';
import { hypervFaults, type ShutDownOptions, type StartAction, type VmPower } from '../hyperv/index.ts';
import type { Hypervisor, MachineState, OwnedMachine } from '../hypervisors/index.ts';
import type { CutoverChoices } from './cutover-choices.ts';
import type { CutoverPlan } from './cutover-plan.ts';
import type { CutoverRecord } from './cutover-record.ts';
import type { CutoverClone, CutoverDeps, CutoverHost } from './cutover-run.ts';
import { readCutover, type CutoverState } from './cutover-state.ts';
import { cutOver, type CutoverRequest } from './cutover.ts';
import { findReplica, Replica, type KnownReplica } from './replicate-state.ts';
import { Fate, MemoryTarget, MemoryVm } from './replicate-world.fixture.ts';
import { replicateVm, type ReplicateRecord } from './replicate.ts';

/** What ran when: the oracle that never both did. */
export class Watch {
  readonly running = new Set<'source' | 'other side'>();
  readonly violations: string[] = [];

  began(side: 'source' | 'other side'): void {
    this.running.add(side);
    if (this.running.size > 1) this.violations.push(`the ${side} was started while the other ran`);
  }

  ended(side: 'source' | 'other side'): void {
    this.running.delete(side);
  }
}

type GuestMode = 'ok' | 'hangs' | 'cannot be asked';

export class SwitchedVm extends MemoryVm implements CutoverHost {
  mode: GuestMode = 'ok';
  action: StartAction = 'if-it-ran';
  state: VmPower['state'] = 'running';
  /** What its guest writes while it shuts down. */
  lastWords: () => Promise<void> = async () => {};
  /** A host that takes a checkpoint for a change of state. */
  checkpointsCount = false;
  /** Called before each answer about its power: for somebody else, who works on the host too. */
  beforePower: () => void = () => {};
  readonly #fate: Fate;
  readonly #watch: Watch;
  #changes = 0;

  constructor(fate: Fate, watch: Watch, sizes: readonly number[]) {
    super(fate, sizes);
    this.#fate = fate;
    this.#watch = watch;
    watch.began('source');
  }

  /** By whoever: also by an administrator. */
  become(state: 'running' | 'off'): void {
    if (this.state === state) return;
    this.state = state;
    this.#changes += 1;
    if (state === 'off') this.#watch.ended('source');
    else this.#watch.began('source');
  }

  /** The host restarts, and does with the VM what it is told to. */
  hostRestarts(): void {
    const ran = this.state === 'running';
    this.become('off');
    if (this.action === 'always' || (this.action === 'if-it-ran' && ran)) this.become('running');
  }

  override async open(request: CaptureRequest): Promise<Capture> {
    const reached = this.state === 'off' ? 'offline' : 'crash';
    const capture = await super.open(request);
    if (this.checkpointsCount) this.#changes += 1;
    return { ...capture, consistency: { asked: request.consistency, reached } };
  }

  async power(): Promise<VmPower> {
    this.#fate.step('power');
    this.beforePower();
    return { state: this.state, changedAt: new Date(this.#changes * 1000).toISOString() };
  }

  shutDown(_vmId: string, _options: ShutDownOptions): Promise<'off' | 'still-on'> {
    return this.#fate.around('shut down', async () => {
      if (this.state === 'off') return 'off';
      if (this.mode === 'hangs') return 'still-on';
      if (this.mode === 'cannot be asked') throw hypervFaults.shutdownUnavailable({ reason: 'nobody there' });
      await this.lastWords();
      this.become('off');
      return 'off';
    });
  }

  turnOff(): Promise<void> {
    return this.#fate.around('turn off', async () => this.become('off'));
  }

  startVm(): Promise<void> {
    return this.#fate.around('start the source', async () => this.become('running'));
  }

  async startAction(): Promise<StartAction> {
    this.#fate.step('read the start action');
    return this.action;
  }

  setStartAction(_vmId: string, action: StartAction): Promise<void> {
    return this.#fate.around('set the start action', async () => void (this.action = action));
  }

  destroyReferencePoint({ instanceId }: { readonly instanceId: string }): Promise<void> {
    return this.#fate.around('destroy the mark', async () => void this.referencePoints.delete(instanceId));
  }
}

/** A hypervisor with machines in memory; it survives every death of a run. */
export class MemoryHypervisor implements Hypervisor {
  readonly address = 'memory:';
  readonly machines = new Map<string, MachineState>();
  /** It cannot be reached. */
  isGone = false;
  /** What becomes of a machine that is started. */
  startsAs: MachineState = 'running';
  readonly #fate: Fate;
  readonly #watch: Watch;

  constructor(fate: Fate, watch: Watch) {
    this.#fate = fate;
    this.#watch = watch;
  }

  describe(): string {
    return 'a hypervisor in memory';
  }

  prepare(): Promise<[]> {
    return this.#call('prepare', () => []);
  }

  define({ uuid }: OwnedMachine): Promise<void> {
    return this.#call('define', () => void this.machines.set(uuid, 'off'));
  }

  state(id: string): Promise<MachineState> {
    return this.#call('look', () => this.machines.get(id) ?? 'absent');
  }

  start(id: string): Promise<void> {
    return this.#call('start', () => {
      if (!this.machines.has(id)) throw new Error('there is no such machine');
      this.machines.set(id, this.startsAs);
      this.#watch.began('other side');
    });
  }

  shutDown(id: string): Promise<void> {
    return this.powerOff(id);
  }

  powerOff(id: string): Promise<void> {
    return this.#call('power off', () => {
      if (this.machines.has(id)) this.machines.set(id, 'off');
      this.#watch.ended('other side');
    });
  }

  undefine(id: string): Promise<void> {
    return this.#call('undefine', () => {
      this.machines.delete(id);
      this.#watch.ended('other side');
    });
  }

  async serialLog(): Promise<undefined> {}

  async close(): Promise<void> {}

  /** The machines are gone without a word. */
  clear(): void {
    this.machines.clear();
    this.#watch.ended('other side');
  }

  #call<T>(name: string, work: () => T): Promise<T> {
    return this.#fate.around(name, async () => {
      if (this.isGone) throw new Error('the hypervisor cannot be reached');
      return work();
    });
  }
}

/** What the machine on the other side has for disks: the replica as it was when it was made. */
export class MemoryClone implements CutoverClone {
  disks: MemoryDisk[] | undefined;
  readonly #fate: Fate;
  readonly #target: MemoryTarget;

  constructor(fate: Fate, target: MemoryTarget) {
    this.#fate = fate;
    this.#target = target;
  }

  describe({ id, state: { vm, generation } }: Replica): { machine: OwnedMachine; notes: [] } {
    const owner = { vmId: vm.id, replica: id, generation: generation!.number, purpose: 'cutover' } as const;
    return { machine: { name: vm.name, uuid: vm.id, owner } as OwnedMachine, notes: [] };
  }

  async plan(replica: Replica): Promise<OwnedMachine> {
    return this.describe(replica).machine;
  }

  make({ state: { generation } }: Replica): Promise<void> {
    return this.#fate.around('clone', async () => {
      this.disks = generation!.disks.map(({ diskId }) => this.#target.contentOf(diskId).snapshot());
    });
  }

  drop(): Promise<void> {
    return this.#fate.around('drop the clone', async () => void (this.disks = undefined));
  }
}

/** A replica with a generation, and both sides of its cutover. */
export class CutoverWorld {
  readonly fate = new Fate();
  readonly watch = new Watch();
  readonly vm: SwitchedVm;
  readonly target = new MemoryTarget(this.fate);
  readonly hypervisor = new MemoryHypervisor(this.fate, this.watch);
  readonly clone = new MemoryClone(this.fate, this.target);
  readonly stateFolder: string;
  agrees = true;
  mayTurnOff = false;
  plan: CutoverPlan | undefined;
  readonly #sizes: readonly number[];
  #writes = 0;

  private constructor(stateFolder: string, sizes: readonly number[]) {
    this.stateFolder = stateFolder;
    this.#sizes = sizes;
    this.vm = new SwitchedVm(this.fate, this.watch, sizes);
    this.vm.lastWords = () => this.writes();
  }

  static async open(stateFolder: string, sizes: readonly number[]): Promise<CutoverWorld> {
    const world = new CutoverWorld(stateFolder, sizes);
    await world.writes();
    await world.cycle();
    return world;
  }

  /** Of every disk: data, and zeros over what was data. Always the same steps, so that no cut is left out. */
  async writes(): Promise<void> {
    this.#writes += 1;
    const n = this.#writes;
    for (const index of this.#sizes.keys()) {
      await this.vm.write(index, 512, Buffer.alloc(8192, n));
      await this.vm.write(index, (64 + 32 * (n % 2)) * KiB, Buffer.alloc(4096, n));
      await this.vm.write(index, (64 + 32 * ((n + 1) % 2)) * KiB, Buffer.alloc(4096));
    }
  }

  cycle(): Promise<ReplicateRecord> {
    return replicateVm(
      { source: this.vm, resolveVm: async () => this.vm.vm },
      { vm: 'web01', target: this.target, stateFolder: this.stateFolder },
    );
  }

  cutOver(more: Partial<CutoverRequest>): Promise<CutoverRecord> {
    return this.#run({ action: 'begin', choices: CHOICES, ...more });
  }

  resume(more: Partial<CutoverRequest> = {}): Promise<CutoverRecord> {
    return this.#run({ action: 'resume', ...more });
  }

  async takeBack(): Promise<void> {
    const state = await this.state();
    if (state === undefined || state.step === 'rolled-back') return;
    await this.#run({ action: 'rollback' });
  }

  /** As whoever finds what a dead run left: goes on with it, or begins where nothing was begun. */
  async finish(): Promise<CutoverRecord | CutoverState> {
    const state = await this.state();
    if (state?.step === 'committed') return state;
    return state ? this.resume({ commit: true }) : this.cutOver({ commit: true });
  }

  replica(): Promise<KnownReplica> {
    return findReplica(this.stateFolder, 'web01');
  }

  async state(): Promise<CutoverState | undefined> {
    return readCutover((await this.replica()).folder);
  }

  #run(request: Pick<CutoverRequest, 'action'> & Partial<CutoverRequest>): Promise<CutoverRecord> {
    return withSavesAsSteps(this.fate, () =>
      cutOver(async () => this.#deps(), {
        replica: 'web01',
        stateFolder: this.stateFolder,
        commit: false,
        force: false,
        progress: silentProgress,
        mayTurnOff: async () => this.mayTurnOff,
        agree: async (plan) => {
          this.plan = plan;
          return this.agrees;
        },
        ...request,
      }),
    );
  }

  #deps(): CutoverDeps & AsyncDisposable {
    const { vm, target, hypervisor, clone } = this;
    return { source: vm, host: vm, target, hypervisor, clone, async [Symbol.asyncDispose]() {} };
  }

  /** Dies, and power is lost where the target is. The step; undefined when there are fewer. */
  async killedAt(dieAt: number, work: () => Promise<unknown>): Promise<string | undefined> {
    this.fate.startOver(dieAt);
    const outcome = await work().catch((error: unknown) => error);
    const step = this.fate.steps[dieAt];
    this.fate.startOver();
    if (step === undefined && outcome instanceof Error) throw outcome;
    await this.target.lose(() => dieAt % 2 === 0);
    return step;
  }

  /** The replica is what the VM's disks hold now, and so is the clone, where there is one. */
  async assertHoldsSource(when: string): Promise<void> {
    for (const [index, { id, disk }] of this.vm.disks.entries()) {
      for (const other of [this.target.contentOf(id), this.clone.disks?.[index]]) {
        if (!other) continue;
        const [is, was] = [Buffer.alloc(disk.size), Buffer.alloc(disk.size)];
        await other.read(0, is);
        await disk.read(0, was);
        assert.ok(is.equals(was), `${when}: disk ${id} differs`);
      }
    }
  }

  /** As if there had been no cutover: for the next one. */
  async forgetCutover(): Promise<void> {
    const { folder } = await this.replica();
    await rm(join(folder, 'cutover.json'));
    this.hypervisor.clear();
    this.clone.disks = undefined;
    this.vm.action = 'if-it-ran';
    this.vm.become('running');
    await this.cycle();
  }
}

export function memoryFolder(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
}

export const CHOICES: CutoverChoices = {
  hypervisor: 'memory:',
  folder: '/clone',
  deltaTargetBytes: 64 * KiB,
  preCopiesMax: 3,
  shutdownSeconds: 300,
  verify: 'sample',
  skipUnprotectable: false,
  machine: {},
  conversion: 'none',
  probe: { kind: 'running' },
  probeSeconds: 0,
};

/** Every change of a document of the replica is a step, and dying right after it is another. */
async function withSavesAsSteps<T>(fate: Fate, work: () => Promise<T>): Promise<T> {
  const { save, saveBeside } = Replica.prototype; // oxlint-disable-line typescript/unbound-method
  Replica.prototype.save = function (changes) {
    return fate.around('save', () => save.call(this, changes));
  };
  Replica.prototype.saveBeside = function (name, text) {
    return fate.around(`save ${name}`, () => saveBeside.call(this, name, text));
  };
  try {
    return await work();
  } finally {
    Object.assign(Replica.prototype, { save, saveBeside });
  }
}
