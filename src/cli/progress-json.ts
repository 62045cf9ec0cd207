/** Progress for a program: JSON lines on stderr, at most one a second and one at the end of each phase. */
import type { ProgressBranch } from '../base/index.ts';
import type { Output } from './output.ts';
import type { ProgressView } from './progress-bar.ts';
import { RateMeter } from './rate.ts';

const EVERY_MS = 1000;

export class ProgressJson implements ProgressView {
  readonly #output: Output;
  readonly #now: () => number;
  /** Name of the task, of a branch. */
  readonly #task: string | undefined;
  readonly #branches = new Set<ProgressJson>();
  #meter: RateMeter | undefined;
  #saidAt = 0;

  constructor(output: Output, now: () => number, task?: string) {
    this.#output = output;
    this.#now = now;
    this.#task = task;
  }

  branch(name: string): ProgressBranch {
    const events = new ProgressJson(this.#output, this.#now, name);
    this.#branches.add(events);
    return {
      phase: (phase, totalBytes) => events.phase(phase, totalBytes),
      advance: (bytes) => events.advance(bytes),
      note: (text) => events.note(text),
      end: () => {
        events.end();
        this.#branches.delete(events);
      },
    };
  }

  phase(name: string, totalBytes?: number): void {
    this.end();
    this.#meter = new RateMeter(name, totalBytes, this.#now);
    this.#saidAt = this.#now();
    this.#event({ event: 'phase', name, totalBytes });
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    this.tick();
  }

  note(text: string): void {
    if (this.#task === undefined) this.#output.say(text);
    else this.#output.say(`${this.#task}: ${text}`);
  }

  tick(): void {
    for (const branch of this.#branches) branch.tick();
    const now = this.#now();
    if (!this.#meter || now - this.#saidAt < EVERY_MS) return;
    this.#saidAt = now;
    this.#event({ event: 'progress', ...this.#meter.state() });
  }

  end(): void {
    if (this.#meter) this.#event({ event: 'phase-end', ...this.#meter.state() });
    this.#meter = undefined;
  }

  #event(event: Readonly<Record<string, unknown>>): void {
    this.#output.event(this.#task === undefined ? event : { ...event, task: this.#task });
  }
}
