/** What can happen to one request: the columns of the matrix. */
import type { ManualClock } from '../../lab/model/index.ts';
import type { WireFaultRule } from '../../lab/wire/index.ts';

export interface FaultKind {
  readonly name: string;
  /** A read is repeated, and nobody is told. */
  readonly goesUnnoticed?: true;
  /** Whatever is read, it ends the same. */
  readonly sameForReads?: true;
  rule(clock: ManualClock): Omit<WireFaultRule, 'action'>;
}

/** While the client still looks for the effect of a call whose answer did not come. */
const SOON_MS = 8_000;
/** When the run has given up and ended. */
const LATE_MS = 3 * 60_000;
/** Longer than any wait of the client between two calls, shorter than the time-out of an operation. */
const SLOW_MS = 45_000;

export const FAULT_KINDS: readonly FaultKind[] = [
  { name: 'reset before', goesUnnoticed: true, rule: () => ({ kind: 'drop-before' }) },
  { name: 'reset in the answer', goesUnnoticed: true, rule: () => ({ kind: 'truncate' }) },
  { name: 'reset after', goesUnnoticed: true, rule: () => ({ kind: 'drop-after' }) },
  {
    name: 'time-out, done soon',
    sameForReads: true,
    rule: (clock) => ({ kind: 'time-out', wait: () => clock.sleep(SOON_MS) }),
  },
  {
    name: 'time-out, done late',
    sameForReads: true,
    rule: (clock) => ({ kind: 'time-out', wait: () => clock.sleep(LATE_MS) }),
  },
  { name: 'fault', rule: () => ({ kind: 'fault' }) },
  {
    name: 'slow',
    sameForReads: true,
    rule: (clock) => ({ kind: 'delay', wait: () => clock.advance(SLOW_MS) }),
  },
  { name: '401', goesUnnoticed: true, rule: () => ({ kind: 'expire' }) },
  { name: '401 although it ran', goesUnnoticed: true, rule: () => ({ kind: 'expire-after' }) },
];

/** After so long everything that was still going on at the host has come to its end. */
export const ALL_OVER_MS = LATE_MS + 10_000;
