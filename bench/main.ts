/**
 * Measures backup, restore and increments beside `qemu-img convert`, in one run on one machine.
 *
 *   npm run bench -- [--quick] [--rounds N] [--folder DIR] [--json]
 *
 * Work files go to a new folder in DIR (default: the system's folder for temporary files) and need about 12 GiB there;
 * they are removed at the end. `--quick` shows that everything runs; its figures mean nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GiB, MiB } from '../src/base/index.ts';
import { describeMachine } from './machine.ts';
import { runMeasured } from './measured-child.ts';
import { makePlan, type Plan, type Step } from './plan.ts';
import { report, type Run } from './report.ts';
import type { TaskResult } from './task.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const folder = mkdtempSync(join(values.folder, 'hvlift-bench-'));
const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
process.once('SIGINT', () => {
  cleanUp();
  process.exit(130);
});
try {
  const machine = describeMachine(folder);
  say('making the disks');
  const plan = await makePlan({
    folder,
    diskSize: values.quick ? GiB : 4 * GiB,
    changedBytes: values.quick ? 4 * MiB : 64 * MiB,
  });
  const runs = await runAll(plan);
  say('comparing what was restored with the source');
  plan.check();
  console.log(values.json ? JSON.stringify({ machine, runs }, undefined, 2) : report(machine, plan, runs));
} finally {
  cleanUp();
}

async function runAll(plan: Plan): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const step of plan.steps) {
      say(`round ${round} of ${rounds}: ${step.name}`);
      runs.push(await runStep(step, round));
    }
  }
  return runs;
}

async function runStep(step: Step, round: number): Promise<Run> {
  await step.prepare();
  const { output, ...usage } = await runMeasured(step.command);
  const told = resultOf(output);
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
