/** Progress for a log: a line per phase, and one every few seconds while a phase takes long. */
import { formatBytes, formatDuration, type ProgressBranch } from '../base/index.ts';
import { formatRate } from './numbers.ts';
import type { Output } from './output.ts';
import { phaseSummary, type ProgressView } from './progress-bar.ts';
import { RateMeter, type PhaseState } from './rate.ts';

/** Frequent at first, when someone may be watching; later sparse, so that a night's log stays readable. */
const FIRST_MINUTE_EVERY_MS = 5_000;
const LATER_EVERY_MS = 30_000;

export class ProgressLines implements ProgressView {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #started: number;
  /** Before all it says: the name of the task, of a branch. */
  readonly #prefix: string;
  readonly #branches = new Set<ProgressLines>();
  #meter: RateMeter | undefined;
  #saidAt = 0;

  constructor(output: Output, now: () => number, prefix = '') {
    this.#output = output;
    this.#now = now;
    this.#started = now();
    this.#prefix = prefix;
  }

  branch(name: string): ProgressBranch {
    const lines = new ProgressLines(this.#output, this.#now, `${name}: `);
    this.#branches.add(lines);
    return {
      phase: (phase, totalBytes) => lines.phase(phase, totalBytes),
      advance: (bytes) => lines.advance(bytes),
      note: (text) => lines.note(text),
      end: () => {
        lines.end();
        this.#branches.delete(lines);
      },
    };
  }

  phase(phase: string, totalBytes?: number): void {
    const name = this.#prefix + phase;
    this.end();
    this.#meter = new RateMeter(name, totalBytes, this.#now);
    this.#saidAt = this.#now();
    this.#output.say(totalBytes ? `${name}: ${formatBytes(totalBytes)}` : name);
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    this.tick();
  }

  note(text: string): void {
    this.#output.say(this.#prefix + text);
  }

  tick(): void {
    if (this.#branches.size > 0) {
      for (const branch of this.#branches) branch.tick();
      return;
    }
    const now = this.#now();
    const every = now - this.#started < 60_000 ? FIRST_MINUTE_EVERY_MS : LATER_EVERY_MS;
    if (!this.#meter || now - this.#saidAt < every) return;
    this.#saidAt = now;
    this.#output.say(progressText(this.#meter.state()));
  }

  end(): void {
    const state = this.#meter?.state();
    if (state && state.doneBytes > 0) this.#output.say(phaseSummary(state, this.#meter!.average()));
    this.#meter = undefined;
  }
}

function progressText(state: PhaseState): string {
  // Most of a checkpoint is waiting for the guest: there are no bytes to count, but it should not look stuck.
  if (state.doneBytes === 0) return `${state.name}: ${formatDuration(state.seconds)} so far`;
  const done = state.totalBytes
    ? `${formatBytes(state.doneBytes)} of ${formatBytes(state.totalBytes)}`
    : formatBytes(state.doneBytes);
  const rate = state.bytesPerSecond === undefined ? '' : `, ${formatRate(state.bytesPerSecond)}`;
  const left = state.secondsLeft === undefined ? '' : `, ${formatDuration(state.secondsLeft)} left`;
  return `${state.name}: ${done}${rate}${left}`;
}
