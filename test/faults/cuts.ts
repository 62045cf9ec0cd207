/**
 * A run of ours that is cut off at a call, as by `kill -9`, and the next run of the same VM, which has to find what was left.
 *
 *   guest writes ─► run, dead from call n on ─► guest writes ─► quiet run ─► every invariant, by name
 *
 * The cut goes from the first call to the last, until a run ends before it. Death before a call is also death after the one
 * before it, except that a call whose effect comes late may have been accepted: so every call that changes something is cut
 * a second time, when it is done and its answer is never heard.
 */
import assert from 'node:assert/strict';
import { KiB, MiB } from '../../src/base/index.ts';
import { backUp, QUIET } from '../property/backup.ts';
import { otherBackup, resetTracking } from '../property/host-events.ts';
import { checkEveryPoint, checkForeign } from '../property/invariants.ts';
import { ProviderSession } from '../property/provider-session.ts';
import type { Counted, ScheduledCall } from '../property/schedule.ts';
import { Tally } from '../property/tally.ts';
import { World, type OpenSession } from '../property/world.ts';
import { settledProvider } from '../property/settled-provider.ts';

export interface CutScenario {
  readonly name: string;
  readonly full: boolean;
  /** The VM has a restore point and a reference point of ours when the run begins. */
  readonly continued: boolean;
  /** What happens to the VM before the run. */
  readonly prepare: (world: World) => Promise<void>;
}

export const CUT_SCENARIOS: readonly CutScenario[] = [
  { name: 'the first backup', full: true, continued: false, prepare: async () => {} },
  { name: 'a full', full: true, continued: true, prepare: async () => {} },
  { name: 'an incremental', full: false, continued: true, prepare: async () => {} },
  {
    name: 'a resync of one disk beside an incremental of the other',
    full: false,
    continued: true,
    prepare: (world) => resetTracking(world, 0),
  },
];

/** Steps whose order matters: every scenario is cut on both sides of each. */
const STEPS = [
  'CreateSnapshot',
  'ModifySystemSettings',
  'ConvertToReferencePoint',
  'putNew journal/',
  'putNew points/',
  'putNew baselines/',
  'delete journal/',
  'delete locks/',
];
/** Those of the mark before, where there is one. */
const LAST_STEPS = ['DestroyReferencePoint', 'delete baselines/'];

interface Side {
  readonly when: CutWhen;
  readonly step: string;
}

/** Sides of steps on which none of the cuts was. */
export function missingSides(cuts: readonly string[], { continued }: CutScenario): Side[] {
  return [...STEPS, ...(continued ? LAST_STEPS : [])]
    .flatMap((step) => (['before', 'after'] as const).map((when) => ({ when, step })))
    .filter(({ when, step }) => !cuts.some((cut) => cut.startsWith(`${when} ${step}`)));
}

type CutWhen = 'before' | 'after';

/** Every call to the host, and every one that writes into the repository, the pieces of a pack included. */
function isCut({ peer, name }: ScheduledCall): boolean {
  return peer === 'host' || (peer === 'store' && /^(putNew|startNew|append|commit|delete) /.test(name));
}

const COUNTED: Readonly<Record<CutWhen, (call: ScheduledCall) => boolean>> = {
  before: isCut,
  after: (call) => call.changes && isCut(call),
};

/** Restore points are read again after every run, so a world is left while it has few of them. */
const CUTS_OF_A_WORLD = 24;

function callAt(calls: readonly ScheduledCall[], at: Counted | string): ScheduledCall {
  if (typeof at === 'string') return calls.find(({ name }) => name.startsWith(at))!;
  return calls.filter(at.counts)[at.nth - 1]!;
}

export class Cuts implements AsyncDisposable {
  readonly #scenario: CutScenario;
  #world: World | undefined;
  #left = 0;
  #writes = 0;

  constructor(scenario: CutScenario) {
    this.#scenario = scenario;
  }

  /** What was cut, in order: `before CreateSnapshot`. Throws the first invariant that is broken, and where. */
  async *all(): AsyncIterable<string> {
    const made: string[] = [];
    for (const when of ['before', 'after'] as const) {
      for (let nth = 1; ; nth += 1) {
        const struck = await this.#cut(when, { nth, counts: COUNTED[when] });
        if (struck === undefined) break;
        made.push(`${when} ${struck}`);
        yield `${when} ${struck}`;
      }
    }
    // A run makes a call more now and then (segments of the index are joined): a number can step over a call, a name cannot.
    for (const { when, step } of missingSides(made, this.#scenario))
      yield `${when} ${await this.#cut(when, step)}`;
  }

  /** The name of the call that was cut; undefined when the run ended before it. */
  async #cut(when: CutWhen, at: Counted | string): Promise<string | undefined> {
    const { full, name, prepare } = this.#scenario;
    const world = await this.#standing();
    try {
      await this.#write(world);
      await prepare(world);
      await backUp(world, { ...QUIET, full, trouble: { at, kind: `death ${when}` } });
      if (world.schedule.struck === undefined) return undefined;
      const { name: struck } = callAt(world.schedule.calls, at);
      await this.#write(world);
      await backUp(world, QUIET);
      await checkForeign(world);
      return struck;
    } catch (error) {
      const where = `${name}, cut ${typeof at === 'string' ? at : at.nth} (${world.schedule.struck ?? 'the run after it'})`;
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A world whose next run is the scenario's. */
  async #standing(): Promise<World> {
    if (this.#left === 0) await this[Symbol.asyncDispose]();
    if (!this.#world) {
      this.#world = await openWorld();
      this.#left = this.#scenario.continued ? CUTS_OF_A_WORLD : 1;
      if (this.#scenario.continued) await backUp(this.#world, QUIET);
    }
    this.#left -= 1;
    return this.#world;
  }

  /** Into both disks, at another place each time. */
  async #write(world: World): Promise<void> {
    for (const { diskId } of (await world.vm()).disks) {
      const offset = (this.#writes % 16) * 64 * KiB;
      await world.lab.guestWrite(world.vmId, { diskId, offset, length: 4096, seed: this.#writes });
      world.knowledge.changed(diskId);
      this.#writes += 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const world = this.#world;
    this.#world = undefined;
    if (!world) return;
    await using _world = world;
    await checkEveryPoint(world);
    await using repository = await world.repository();
    const { problems } = await repository.verify({ workers: 0 });
    assert.deepEqual(problems, [], 'what cut runs left does not damage the repository');
  }
}

/** Two disks, and a reference point of another tool beside ours, which has to stand through it all (I7). */
async function openWorld(): Promise<World> {
  const disk = { size: MiB, sector: 512 as const };
  const setup = { disks: [disk, disk], wire: settledSession, encrypted: false, granularity: 64 * KiB };
  const world = await World.open(setup, new Tally());
  await otherBackup(world);
  await otherBackup(world);
  return world;
}

/** Jobs take no time, so that a run does not make a call more or less each time. */
const settledSession: OpenSession = async ({ provider, settle }) =>
  new ProviderSession(() => settledProvider(provider, settle));
