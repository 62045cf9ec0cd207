#!/usr/bin/env node
/** `hvlift lab`: the emulated Hyper-V host as a program. docs/operating/lab.md is its manual. */
import { Command } from '@commander-js/extra-typings';
import { registerGuest } from './commands/guest.ts';
import { registerNodes } from './commands/nodes.ts';
import { registerReplay } from './commands/replay.ts';
import { registerStart } from './commands/start.ts';
import { registerTrouble } from './commands/trouble.ts';
import { registerTruth } from './commands/truth.ts';
import { registerVm } from './commands/vm.ts';
import { LabFailure } from './model/index.ts';

const USAGE = 64;
const REFUSED = 2;
const UNEXPECTED = 1;

const program = new Command('hvlift lab')
  .description(
    'An emulated Hyper-V host on this machine, to try backups and restores on: WS-Management with NTLM, real VHDX ' +
      'files, change tracking, guests that write, and the exact content of every disk at every checkpoint to compare ' +
      'with. Only programs on this machine can reach it.',
  )
  .showHelpAfterError('(--help tells more)')
  .exitOverride();

for (const register of [
  registerStart,
  registerVm,
  registerNodes,
  registerGuest,
  registerTruth,
  registerTrouble,
  registerReplay,
])
  register(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (isCommanderError(error)) return error.exitCode === 0 ? 0 : USAGE;
  process.stderr.write(`error: ${(error as Error).message}\n`);
  return error instanceof LabFailure ? REFUSED : UNEXPECTED;
}

function isCommanderError(error: unknown): error is { exitCode: number } {
  return error instanceof Error && 'exitCode' in error;
}
