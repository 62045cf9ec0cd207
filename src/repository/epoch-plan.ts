/** One step of the collector, as a decision over what is known: no store, no time. */
import type { Epoch } from './epochs.ts';

/** What one run condemns at most: the object of an epoch stays far below what one object may hold. */
const CONDEMNED_MAX = 100_000;

export interface EpochFacts {
  readonly epoch: Epoch;
  /** Bytes of each pack that is there, by hexadecimal id. */
  readonly packs: ReadonlyMap<string, number>;
  /** Packs that some segment of the index names. */
  readonly indexed: ReadonlySet<string>;
  readonly aliveBytes: (pack: string) => number;
  /** Packs whose living objects were copied into others just now. */
  readonly emptied: ReadonlySet<string>;
  /** Epochs that the open sessions saw when they began. */
  readonly sessions: readonly number[];
}

export interface EpochPlan {
  readonly next: Epoch;
  readonly condemned: readonly string[];
  readonly revived: readonly string[];
  readonly doomed: readonly string[];
  /** Would be doomed, if a session that began before they were condemned were not open. */
  readonly waiting: readonly string[];
}

export function planEpoch(facts: EpochFacts): EpochPlan {
  const { epoch, packs, indexed, aliveBytes, emptied, sessions } = facts;
  const number = epoch.number + 1;
  const oldest = Math.min(...sessions, Infinity);
  const dead = (pack: string): boolean => aliveBytes(pack) === 0;
  const revived = [...epoch.condemned.keys()].filter((pack) => !dead(pack));
  const stillDead = [...epoch.condemned].filter(([pack]) => dead(pack));
  const mayGo = ([pack, since]: readonly [string, number]): boolean => oldest >= since || !packs.has(pack);
  const doomed = stillDead.filter(mayGo).map(([pack]) => pack);
  const waiting = stillDead.filter((each) => !mayGo(each));
  const isNew = (pack: string): boolean => !epoch.condemned.has(pack) && !epoch.doomed.has(pack);
  // Not in the index: of a session that is still at work, as long as any is; of one that died, when none is.
  const isAbandoned = (pack: string): boolean => dead(pack) && (indexed.has(pack) || sessions.length === 0);
  const condemned = [...packs.keys()]
    .filter((pack) => isNew(pack) && (emptied.has(pack) || isAbandoned(pack)))
    .slice(0, CONDEMNED_MAX);
  const kept = [...epoch.doomed].filter(
    ([pack, since]) => packs.has(pack) || indexed.has(pack) || oldest < since,
  );
  // No writer may take an object for stored that was in a pack which is lost.
  const lost = [...indexed].filter((pack) => !packs.has(pack) && isNew(pack));
  return {
    next: {
      number,
      condemned: new Map([...waiting, ...condemned.map((pack) => [pack, number] as const)]),
      doomed: new Map([...kept, ...[...doomed, ...lost].map((pack) => [pack, number] as const)]),
    },
    condemned,
    revived,
    doomed: [...doomed, ...lost],
    waiting: waiting.map(([pack]) => pack),
  };
}

/** Is the next epoch any different? */
export function changes({ condemned, revived, doomed, next }: EpochPlan, epoch: Epoch): boolean {
  const moved = condemned.length + revived.length + doomed.length > 0;
  const sizes = (each: Epoch): number => each.condemned.size + each.doomed.size;
  return moved || sizes(next) !== sizes(epoch);
}
