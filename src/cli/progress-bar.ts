/**
 * Progress on a terminal: one line redrawn in place, and a line that stays for each phase that moved bytes.
 *
 *   web01: reading disk 1  [=========>          ]  45%  1.2 GiB of 2.7 GiB  107 MB/s  0:15 left
 *
 * A narrow terminal loses the bar first, then the sizes, then the rate; the percentage and the time left stay.
 */
import { formatBytes, formatDuration, type Progress } from '../base/index.ts';
import { formatRate } from './numbers.ts';
import type { Output } from './output.ts';
import { RateMeter, type PhaseState } from './rate.ts';
import { cutTo, printable, textWidth } from './text-width.ts';

/** At most ten times a second: more is not seen, and a slow terminal would hold up the reading. */
const REDRAW_EVERY_MS = 100;
const BAR_CELLS_MIN = 10;
const BAR_CELLS_MAX = 40;
const NAME_CELLS_MIN = 12;

export interface ProgressView extends Progress {
  /** Time has passed: called about once a second, so that a stall is seen as one. */
  tick(): void;
  /** The work is over. */
  end(): void;
}

export class ProgressBar implements ProgressView {
  readonly #output: Output;
  readonly #now: () => number;
  #meter: RateMeter | undefined;
  #drawnAt = -Infinity;

  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  phase(name: string, totalBytes?: number): void {
    this.#finishPhase();
    this.#meter = new RateMeter(printable(name), totalBytes, this.#now);
    this.tick();
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
    if (!this.#meter || now - this.#drawnAt < REDRAW_EVERY_MS) return;
    this.#drawnAt = now;
    this.#output.statusLine.show(barLine(this.#meter.state(), this.#output.statusLine.cells));
  }

  end(): void {
    this.#finishPhase();
    this.#meter = undefined;
  }

  #finishPhase(): void {
    this.#output.statusLine.end();
    const state = this.#meter?.state();
    if (state && state.doneBytes > 0) this.#output.say(phaseSummary(state, this.#meter!.average()));
  }
}

/** What stays on the screen of a phase. */
export function phaseSummary(state: PhaseState, bytesPerSecond: number): string {
  return `${state.name}: ${formatBytes(state.doneBytes)} in ${formatDuration(state.seconds)}, ${formatRate(bytesPerSecond)}`;
}

/** The line for a terminal of `cells`. Exported for its test. */
export function barLine(state: PhaseState, cells: number): string {
  const [percent, sizes, rate, left] = figures(state);
  const essential = [percent, left].filter(Boolean);
  const fuller = [percent, rate, left].filter(Boolean);
  const all = [percent, sizes, rate, left].filter(Boolean);
  const parts = [all, fuller, essential].find((parts) => fits(state.name, parts, cells)) ?? essential;
  const used = textWidth(parts.join('  '));
  const name = cutTo(state.name, Math.max(cells - used - 2, Math.min(cells, NAME_CELLS_MIN)));
  const bar = drawBar(state, cells - textWidth(name) - used - 6);
  return [name, bar, ...parts].filter(Boolean).join('  ');
}

function fits(name: string, parts: readonly string[], cells: number): boolean {
  return Math.min(textWidth(name), NAME_CELLS_MIN) + 2 + textWidth(parts.join('  ')) <= cells;
}

/** Percentage, sizes, rate, time left; empty where it is not known. */
function figures(state: PhaseState): [string, string, string, string] {
  const { doneBytes, totalBytes, bytesPerSecond, secondsLeft } = state;
  const known = totalBytes !== undefined && totalBytes > 0;
  return [
    known ? `${String(Math.floor(fractionOf(state) * 100)).padStart(3)}%` : '',
    known
      ? `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`
      : doneBytes > 0
        ? formatBytes(doneBytes)
        : '',
    bytesPerSecond === undefined || doneBytes === 0 ? '' : formatRate(bytesPerSecond),
    secondsLeft === undefined ? formatDuration(state.seconds) : `${formatDuration(secondsLeft)} left`,
  ];
}

function drawBar(state: PhaseState, room: number): string {
  const cells = Math.min(BAR_CELLS_MAX, room);
  if (cells < BAR_CELLS_MIN || !state.totalBytes) return '';
  const done = Math.floor(fractionOf(state) * cells);
  const head = done < cells ? '>' : '';
  return `[${'='.repeat(done)}${head}${' '.repeat(cells - done - head.length)}]`;
}

/** Never above one: a source may find more than it announced. */
function fractionOf(state: PhaseState): number {
  return Math.min(1, state.doneBytes / state.totalBytes!);
}
