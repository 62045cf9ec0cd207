/**
 * Progress on a terminal: one line redrawn in place, and a line that stays for each phase that moved bytes.
 *
 *   web01: reading disk 1  [=========>          ]  45%  1.2 GiB of 2.7 GiB  107 MB/s  0:15 left
 *
 * Tasks that run at once have a line each under one for all of them, and leave none: their results tell what they moved.
 *
 *   12 of 30 VMs  38.2 GiB  412 MB/s  6:12
 *   sql01: full sql01.vhdx  [====>             ]  23%  107 MB/s  3:15 left
 *   web01: checkpoint  0:04
 *
 * A narrow terminal loses the bar first, then the sizes, then the rate; the percentage and the time left stay.
 */
import { formatBytes, formatDuration, type Progress, type ProgressBranch } from '../base/index.ts';
import { formatRate } from './numbers.ts';
import type { Output } from './output.ts';
import { RateMeter, type PhaseState } from './rate.ts';
import { cutTo, printable, textWidth } from './text-width.ts';

/** At most ten times a second: more is not seen, and a slow terminal would hold up the reading. */
const REDRAW_EVERY_MS = 100;
const BAR_CELLS_MIN = 10;
const BAR_CELLS_MAX = 40;
const NAME_CELLS_MIN = 12;
/** More move too fast to be read; the line of all counts them. */
const BRANCHES_SHOWN = 8;

export interface ProgressView extends Progress {
  /** Time has passed: called about once a second, so that a stall is seen as one. */
  tick(): void;
  /** The work is over. */
  end(): void;
}

export class ProgressBar implements ProgressView {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #branches: Branch[] = [];
  #meter: RateMeter | undefined;
  /** All that branches moved. */
  #all: RateMeter | undefined;
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

  branch(name: string): ProgressBranch {
    this.#all ??= new RateMeter('', undefined, this.#now);
    const branch = new Branch(name, this.#now, {
      moved: (bytes) => {
        this.#all?.advance(bytes);
        this.tick();
      },
      note: (text) => this.note(text),
      ended: () => void this.#branches.splice(this.#branches.indexOf(branch), 1),
    });
    this.#branches.push(branch);
    return branch;
  }

  tick(): void {
    const now = this.#now();
    if (!this.#meter || now - this.#drawnAt < REDRAW_EVERY_MS) return;
    this.#drawnAt = now;
    const { statusLine } = this.#output;
    statusLine.show(...this.#lines(this.#meter.state(), statusLine.cells, statusLine.rows));
  }

  end(): void {
    this.#finishPhase();
    this.#meter = undefined;
  }

  #lines(phase: PhaseState, cells: number, rows: number): string[] {
    if (!this.#all) return [barLine(phase, cells)];
    const shown = this.#branches.slice(0, Math.min(BRANCHES_SHOWN, rows - 1));
    const more = this.#branches.length - shown.length;
    const name = more > 0 ? `${phase.name}, ${more} more at work` : phase.name;
    const states = shown.map((branch) => branch.state()).filter((state) => state !== undefined);
    return [{ ...this.#all.state(), name }, ...states].map((state) => barLine(state, cells));
  }

  #finishPhase(): void {
    this.#output.statusLine.end();
    const state = this.#meter?.state();
    if (state && state.doneBytes > 0) this.#output.say(phaseSummary(state, this.#meter!.average()));
  }
}

interface BranchEvents {
  moved(bytes: number): void;
  note(text: string): void;
  ended(): void;
}

class Branch implements ProgressBranch {
  readonly #name: string;
  readonly #now: () => number;
  readonly #events: BranchEvents;
  #meter: RateMeter | undefined;

  constructor(name: string, now: () => number, events: BranchEvents) {
    this.#name = printable(name);
    this.#now = now;
    this.#events = events;
  }

  state(): PhaseState | undefined {
    return this.#meter?.state();
  }

  phase(name: string, totalBytes?: number): void {
    this.#meter = new RateMeter(`${this.#name}: ${printable(name)}`, totalBytes, this.#now);
    this.#events.moved(0);
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    this.#events.moved(bytes);
  }

  note(text: string): void {
    this.#events.note(`${this.#name}: ${text}`);
  }

  end(): void {
    this.#meter = undefined;
    this.#events.ended();
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
