/**
 * Measures backup, restore, increments and conversions beside `qemu-img convert`, in one run on one machine.
 *
 *   npm run bench -- [--quick] [--only GROUP] [--rounds N] [--folder DIR] [--json]
 *
 * GROUP is limit, backup, restore, increment, convert, readers, nbd or serve; or scale, space, cutover or replicate, which are measured only when
 * they are named, once, and print tables of their own. Work files go to a new folder in DIR (default: the system's folder
 * for temporary files) and need about 20 GiB there; they are removed at the end. `--quick` shows that everything runs; its figures mean nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GiB, MiB } from '../src/base/index.ts';
import { cutoverReport } from './cutover.ts';
import { describeMachine } from './machine.ts';
import { runMeasured } from './measured-child.ts';
import { makePlan, type Plan } from './plan.ts';
import { replicateReport } from './replicate.ts';
import { report, type Run } from './report.ts';
import { scaleReport } from './scale.ts';
import { spaceReport } from './space.ts';
import { canRun, type Step } from './step.ts';
import type { TaskResult } from './timed.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const folder = mkdtempSync(join(values.folder, 'hvlift-bench-'));
const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
const parts = new AsyncDisposableStack();
process.once('SIGINT', () => {
  cleanUp();
  void parts.disposeAsync().finally(() => process.exit(130));
});
try {
  if (isOwn(values.only)) {
    console.log(await ownReport(values.only));
  } else {
    await measureGroups();
  }
} finally {
  await parts.disposeAsync();
  cleanUp();
}

type Own = 'scale' | 'space' | 'cutover' | 'replicate';

function isOwn(group: string | undefined): group is Own {
  return group === 'scale' || group === 'space' || group === 'cutover' || group === 'replicate';
}

/** `--quick`: two tenths of a percent of the index, a hundredth of the points; two increments on small images; one small cutover. */
async function ownReport(group: Own): Promise<string> {
  if (group === 'cutover') {
    const [diskBytes, lastBytes] = values.quick ? [64 * MiB, [4 * MiB]] : [4 * GiB, [MiB, 64 * MiB]];
    return cutoverReport({ folder, diskBytes, lastBytes, rounds: values.quick ? 1 : 3, say });
  }
  if (group === 'replicate') {
    const [changedBytes, cycles] = values.quick ? [MiB, 1] : [64 * MiB, 5];
    return replicateReport({ folder, changedBytes, cycles, say });
  }
  if (group === 'scale') {
    const [entries, points] = values.quick ? [200_000, 100] : [100_000_000, 10_000];
    return scaleReport({ folder, entries, points });
  }
  const [imageBytes, increments] = values.quick ? [64 * MiB, 2] : [GiB, 30];
  return spaceReport({ folder, imageBytes, increments, say });
}

async function measureGroups(): Promise<void> {
  const machine = describeMachine(folder);
  say('making the disks');
  const plan = await makePlan({
    folder,
    diskSize: values.quick ? GiB : 4 * GiB,
    changedBytes: values.quick ? 4 * MiB : 64 * MiB,
    only: values.only as Step['group'] | undefined,
    parts,
  });
  const runs = await runAll(plan);
  say('comparing what was made with its source');
  await plan.check();
  console.log(values.json ? JSON.stringify({ machine, runs }, undefined, 2) : report(machine, plan, runs));
}

async function runAll(plan: Plan): Promise<Run[]> {
  const runs: Run[] = [];
  const steps = plan.steps.filter((step) => {
    if (!canRun(step)) say(`left out, for want of ${step.command[0]}: ${step.name}`);
    return canRun(step);
  });
  for (let round = 1; round <= rounds; round += 1) {
    for (const step of steps) {
      say(`round ${round} of ${rounds}: ${step.name}`);
      runs.push(await runStep(step, round));
    }
  }
  return runs;
}

async function runStep(step: Step, round: number): Promise<Run> {
  const { command, waits, beforeWork } = step;
  await step.prepare?.();
  if (!waits) await beforeWork?.();
  const { output, ...usage } = await runMeasured(command, waits ? beforeWork : undefined);
  const told = step.secondsOf ? { seconds: step.secondsOf(output) } : resultOf(output);
  return { step: step.name, round, seconds: usage.wallSeconds, ...usage, ...told };
}

/** What our own tasks print; other programs print nothing that matters. */
function resultOf(output: string): Partial<TaskResult> {
  const last = output.trim().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? (JSON.parse(last) as TaskResult) : {};
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
