/** A VM that moves to another node of its cluster in the middle of a backup, before a call of it or two. */
import { MiB } from '../../src/base/index.ts';
import { backupVm, type BackupRecord } from '../../src/flows/index.ts';
import type { ManualClock } from '../../lab/model/index.ts';
import { backUp, QUIET } from '../property/backup.ts';
import { checkEveryPoint, checkRun, observe } from '../property/invariants.ts';
import { Tally } from '../property/tally.ts';
import { World } from '../property/world.ts';
import { outcomeOf } from './broken-run.ts';
import { ClusterProgram } from '../property/cluster-program.ts';

export interface Move {
  /** Before this call of the run to the host, from 0. */
  readonly at: number;
  /** The new owner shows the VM only once this is over. */
  readonly arrival?: Promise<void>;
}

export interface MovedRun {
  readonly outcome: string;
  readonly record: BackupRecord | undefined;
  /** The calls before which it moved. */
  readonly before: readonly string[];
}

export class MovingBench implements AsyncDisposable {
  readonly world: World;
  readonly #program: ClusterProgram;
  #runs = 0;

  private constructor(world: World, program: ClusterProgram) {
    this.world = world;
    this.#program = program;
  }

  static async open(): Promise<MovingBench> {
    const program = new ClusterProgram();
    const disk = { size: MiB, sector: 512 as const };
    const setup = { disks: [disk, disk], wire: false, encrypted: false, granularity: 64 * 1024 };
    const world = await World.open({ ...setup, program: program.open }, new Tally());
    return new MovingBench(world, program);
  }

  get clock(): ManualClock {
    return this.world.clock;
  }

  /** How many calls to the host a quiet run makes. */
  async hostCalls(): Promise<number> {
    await backUp(this.world, QUIET);
    await backUp(this.world, QUIET);
    return this.world.schedule.calls.filter(({ peer }) => peer === 'host').length;
  }

  /** One run with the moves, judged by the invariants; one that did not end well is followed by a quiet one, which must. */
  async run(moves: readonly Move[], full = false): Promise<MovedRun> {
    const { world } = this;
    await this.#write();
    const state = await observe(world);
    const before: string[] = [];
    const end = await this.#attempt(moves, full, before);
    await world.lab.settle();
    const struck = `moved at ${before.join(' and ')}`;
    await checkRun(world, { ...end, spec: { ...QUIET, full }, before: state, struck, interfered: false });
    const outcome = outcomeOf({ ...end, calls: [] });
    if (outcome !== 'ok') await backUp(world, QUIET);
    return { outcome, record: end.record, before };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await checkEveryPoint(this.world);
    await this.world[Symbol.asyncDispose]();
  }

  async #attempt(
    moves: readonly Move[],
    full: boolean,
    before: string[],
  ): Promise<{ record?: BackupRecord; error?: unknown }> {
    const { schedule, vmId } = this.world;
    const deps = await this.world.deps();
    const { watch } = schedule;
    let calls = 0;
    schedule.watch = async (call, input) => {
      if (call.peer === 'host') await this.#move(moves, calls++, call.name, before);
      return watch(call, input);
    };
    schedule.start({ happenings: [] });
    try {
      return { record: await backupVm(deps, { vm: vmId, full, workers: 0, mergeTimeoutMs: 10_000 }) };
    } catch (error) {
      return { error };
    } finally {
      schedule.stop();
      schedule.watch = watch;
    }
  }

  async #move(moves: readonly Move[], call: number, name: string, before: string[]): Promise<void> {
    for (const { arrival } of moves.filter(({ at }) => at === call)) {
      before.push(name);
      await this.#program.moveOn(this.world.vmId, arrival);
    }
  }

  async #write(): Promise<void> {
    const [disk] = (await this.world.vm()).disks;
    const offset = (this.#runs % 16) * 64 * 1024;
    await this.world.lab.guestWrite(this.world.vmId, { offset, length: 4096, seed: this.#runs });
    this.world.knowledge.changed(disk!.diskId);
    this.#runs += 1;
  }
}
