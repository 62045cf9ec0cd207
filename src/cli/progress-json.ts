/** Progress for a program: JSON lines on stderr, at most one a second and one at the end of each phase. */
import type { Output } from './output.ts';
import type { ProgressView } from './progress-bar.ts';
import { RateMeter } from './rate.ts';

const EVERY_MS = 1000;

export class ProgressJson implements ProgressView {
  readonly #output: Output;
  readonly #now: () => number;
  #meter: RateMeter | undefined;
  #saidAt = 0;

  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  phase(name: string, totalBytes?: number): void {
    this.end();
    this.#meter = new RateMeter(name, totalBytes, this.#now);
    this.#saidAt = this.#now();
    this.#output.event({ event: 'phase', name, totalBytes });
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    this.tick();
  }

  note(text: string): void {
    this.#output.say(text);
  }

  tick(): void {
    const now = this.#now();
    if (!this.#meter || now - this.#saidAt < EVERY_MS) return;
    this.#saidAt = now;
    this.#output.event({ event: 'progress', ...this.#meter.state() });
  }

  end(): void {
    if (this.#meter) this.#output.event({ event: 'phase-end', ...this.#meter.state() });
    this.#meter = undefined;
  }
}
