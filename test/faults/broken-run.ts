/**
 * Backups over the real wire, one request of which is struck, in the world of the random sequences and judged by the same
 * invariants.
 */
import { isFault, MiB } from '../../src/base/index.ts';
import { backupVm, type BackupRecord } from '../../src/flows/index.ts';
import type { Trouble, When } from '../property/schedule.ts';
import { checkEveryPoint, checkRun, observe } from '../property/invariants.ts';
import { QUIET } from '../property/backup.ts';
import { Tally } from '../property/tally.ts';
import { World } from '../property/world.ts';
import type { FaultKind } from './fault-kinds.ts';
import { RehearsedWire } from './rehearsed-wire.ts';

/** One call of a run to the host, and how many requests it took: a listing takes one for each page. */
export interface HostCall {
  readonly name: string;
  requests: number;
}

/** The place a fault strikes. */
export interface Strike {
  /** Of the calls to the host, from 0. */
  readonly call: number;
  /** Of the requests of the call, from 0. */
  readonly request: number;
  readonly fault: FaultKind;
  /** The log-on is forgotten at this place, and what is struck is the first request of the new one. */
  readonly logOn?: true;
}

export interface RunOptions {
  readonly full?: boolean;
  /** In the order of the calls; the request of the next is asked only when the one before has struck. */
  readonly strikes?: readonly Strike[];
}

export interface RunEnd {
  readonly record?: BackupRecord;
  readonly error?: unknown;
  readonly calls: readonly HostCall[];
}

/** Jobs older than this are gone from the host's list of them, so that it is as long at every run. */
const JOBS_KEPT_MS = 30_000;
/** A journal tells a checkpoint of ours by its time as well: the clock that is moved by hand must stay near the real one. */
const CLOCK_AHEAD_MS_MAX = 12 * 60_000;

export class Bench implements AsyncDisposable {
  readonly #world: World;
  readonly #wire: RehearsedWire;
  #runs = 0;

  private constructor(world: World, wire: RehearsedWire) {
    this.#world = world;
    this.#wire = wire;
  }

  static async open(): Promise<Bench> {
    const wire = new RehearsedWire();
    const setup = {
      // A second disk would only ask the same again.
      disks: [{ size: MiB, sector: 512 as const }],
      wire: wire.open,
      encrypted: false,
      granularity: 64 * 1024,
    };
    const world = await World.open(setup, new Tally());
    await world.lab.configure({ jobRemovalMs: JOBS_KEPT_MS });
    return new Bench(world, wire);
  }

  /** The clock has been moved so far that another bench must take over. */
  get worn(): boolean {
    return this.#wire.clock.now() - Date.now() > CLOCK_AHEAD_MS_MAX;
  }

  /** Everything that goes on at the host comes to its end. */
  async pass(milliseconds: number): Promise<void> {
    await this.#wire.clock.advance(milliseconds);
    await this.#world.lab.settle();
  }

  /** A backup after another write of the guest. Throws when an invariant is broken, or a strike met nothing. */
  async run({ full = false, strikes = [] }: RunOptions = {}): Promise<RunEnd> {
    await this.#write();
    await this.pass(JOBS_KEPT_MS + 1000);
    await this.#wire.logOn();
    const world = this.#world;
    const before = await observe(world);
    const end = await this.#attempt(full, strikes);
    await world.lab.settle();
    this.#wire.mustHaveStruck();
    const spec = { ...QUIET, full };
    const [strike] = strikes;
    const struck = strike && `${strike.fault.name} at ${end.calls[strike.call]?.name}`;
    await checkRun(world, { ...end, spec, before, struck, interfered: false });
    return end;
  }

  /** A run that ends for good at this call, as by `kill -9`. */
  async die(at: When, trouble: Trouble): Promise<void> {
    const world = this.#world;
    const before = await observe(world);
    const deps = await world.deps();
    world.schedule.start({ happenings: [], trouble: { at, kind: trouble } });
    const error: unknown = await backupVm(deps, this.#request(false)).catch((reason: unknown) => reason);
    world.schedule.stop();
    await world.lab.settle();
    const { struck } = world.schedule;
    await checkRun(world, { error, spec: QUIET, before, struck, interfered: false });
  }

  checkEveryPoint(): Promise<void> {
    return checkEveryPoint(this.#world);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#world[Symbol.asyncDispose]();
  }

  async #write(): Promise<void> {
    const [disk] = (await this.#world.vm()).disks;
    const offset = (this.#runs % 16) * 64 * 1024;
    await this.#world.lab.guestWrite(this.#world.vmId, { offset, length: 4096, seed: this.#runs });
    this.#world.knowledge.changed(disk!.diskId);
    this.#runs += 1;
  }

  async #attempt(full: boolean, strikes: readonly Strike[]): Promise<RunEnd> {
    const world = this.#world;
    const deps = await world.deps();
    const calls = this.#watch(strikes);
    world.schedule.start({ happenings: [] });
    try {
      return { record: await backupVm(deps, this.#request(full)), calls: calls() };
    } catch (error) {
      if (isFault(error) && error.kind !== 'bug') return { error, calls: calls() };
      throw error;
    } finally {
      world.schedule.stop();
    }
  }

  #request(full: boolean) {
    return { vm: this.#world.vmId, full, workers: 0, mergeTimeoutMs: 10_000 };
  }

  /** Notes every call to the host, and strikes when its turn comes; returns how to get the notes and end it. */
  #watch(strikes: readonly Strike[]): () => HostCall[] {
    const { schedule } = this.#world;
    const { watch } = schedule;
    const calls: HostCall[] = [];
    let began = this.#wire.requests;
    const close = (): void => {
      const last = calls.at(-1);
      if (last) last.requests = this.#wire.requests - began;
      began = this.#wire.requests;
    };
    schedule.watch = (call, input) => {
      if (call.peer === 'host') {
        close();
        const strike = strikes.find((each) => each.call === calls.length);
        if (strike) this.#strike(strike);
        calls.push({ name: call.name, requests: 0 });
      }
      return watch(call, input);
    };
    return () => {
      schedule.watch = watch;
      close();
      return calls;
    };
  }

  #strike({ fault, request, logOn }: Strike): void {
    const rule = fault.rule(this.#wire.clock);
    this.#wire.rehearse(
      logOn
        ? [
            { action: '*', kind: 'expire', after: request },
            { action: 'Identify', ...rule },
          ]
        : [{ action: '*', ...rule, after: request }],
    );
  }
}

/** How a run ended, as the user is told: codes only. */
export function outcomeOf({ record, error }: RunEnd): string {
  if (!record) return isFault(error) ? error.code : String(error);
  return ['ok', ...new Set(record.warnings.map(({ code }) => code))].join(', ');
}
