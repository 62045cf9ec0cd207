/** Figures of all rounds as tables in Markdown: readable on a terminal, and pasted into docs/operating/performance.md. */
import { formatBytes, MiB } from '../src/base/index.ts';
import type { Machine } from './machine.ts';
import type { Plan } from './plan.ts';
import type { Step } from './step.ts';

export interface Run {
  readonly step: string;
  readonly round: number;
  /** The work alone, where the program tells it; else the time of the process. */
  readonly seconds: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly stats?: object;
}

const GROUPS: Record<Step['group'], string> = {
  limit: 'Limits of the machine, one core',
  backup: 'Full backup',
  restore: 'Restore',
  increment: 'Increment',
  convert: 'Convert',
  readers: 'Readers',
  serve: 'A restore point over NBD',
  nbd: 'NBD alone',
};

export function report(machine: Machine, plan: Plan, runs: readonly Run[]): string {
  const measured = new Set(runs.map(({ step }) => step));
  const groups = Object.entries(GROUPS).flatMap(([group, title]) => {
    const steps = plan.steps.filter((step) => step.group === group && measured.has(step.name));
    return steps.length > 0 ? [[`### ${title}`, '', ...groupTable(steps, runs)].join('\n')] : [];
  });
  return [machineText(machine), ...groups, ratioTable(plan, runs)].join('\n\n');
}

function machineText(machine: Machine): string {
  const { processor, cores, memory, system, fileSystem, node, qemu, loadBefore } = machine;
  const hardware = `${processor}, ${cores} cores, ${memory}`;
  return `${hardware}; ${system}, ${fileSystem}; Node ${node}, ${qemu}; load before: ${loadBefore.toFixed(1)}.`;
}

function groupTable(steps: readonly Step[], runs: readonly Run[]): string[] {
  const rows = steps.map((step) => {
    const own = runs.filter((run) => run.step === step.name);
    const seconds = median(own.map((run) => run.seconds));
    return [
      step.name,
      formatBytes(step.bytes),
      seconds.toFixed(2),
      Math.min(...own.map((run) => run.seconds)).toFixed(2),
      median(own.map((run) => run.wallSeconds)).toFixed(2),
      Math.round(step.bytes / MiB / seconds).toString(),
      median(own.map((run) => run.cpuSeconds)).toFixed(1),
      formatBytes(Math.max(...own.map((run) => run.peakBytes))),
    ];
  });
  return table(['step', 'data', 's, median', 's, best', 's, process', 'MiB/s', 'CPU s', 'peak memory'], rows);
}

function ratioTable({ ratios }: Plan, runs: readonly Run[]): string {
  const measured = new Set(runs.map(({ step }) => step));
  const known = ratios.filter(({ ours, theirs }) => measured.has(ours) && measured.has(theirs));
  const rows = known.map(({ ours, theirs }) => {
    const perRound = runs
      .filter((run) => run.step === ours)
      .map((run) => runs.find((r) => r.step === theirs && r.round === run.round)!.seconds / run.seconds);
    return [ours, theirs, `${median(perRound).toFixed(2)}×`];
  });
  return ['### Side by side', '', ...table(['this', 'beside this', 'speed'], rows)].join('\n');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => '-'.repeat(width + 1) + (i === 0 ? '-' : ':')).join('|')}|`;
  return [line(head), rule, ...rows.map(line)];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
