/** Trials by number: the same seed and number are the same trial, whichever thread makes it. */
import { AllocationMeter } from './allocation-meter.ts';
import { Random } from './random.ts';
import { draw, type Subject } from './subject.ts';
import { Violation, tried } from './trial.ts';

export interface Trials {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

export interface Tally {
  /** How often each subject ended in which way. */
  readonly outcomes: Record<string, number>;
  readonly failures: readonly string[];
}

/** More of them say the same. */
const FAILURES_MAX = 5;
/** One trial in so many looks at every byte. */
const EVERYTHING_EACH = 16;
/** And in one of so many memory is counted, which costs a fifth more. */
const METERED_EACH = 4;

export async function mutate(subjects: readonly Subject[], { seed, from, to }: Trials): Promise<Tally> {
  const meter = new AllocationMeter();
  const outcomes: Record<string, number> = {};
  const failures: string[] = [];
  for (let number = from; number < to && failures.length < FAILURES_MAX; number += 1) {
    const random = new Random(Math.imul(number + 1, 0x9e3779b1) ^ seed);
    const subject = random.pick(subjects);
    const mutants = draw(subject, random);
    try {
      const metered = random.oneIn(METERED_EACH) ? { meter } : {};
      const outcome = await tried(subject, mutants, {
        ...metered,
        everything: random.oneIn(EVERYTHING_EACH),
      });
      const key = `${subject.name}: ${outcome}`;
      outcomes[key] = (outcomes[key] ?? 0) + 1;
    } catch (error) {
      const why = error instanceof Violation ? error.message : String((error as Error).stack);
      failures.push(
        `seed ${seed}, trial ${number}, ${subject.name}: ${mutants.map(({ what }) => what).join('; ')}: ${why}`,
      );
    }
  }
  return { outcomes, failures };
}
