/** The command tree, and what a mistake in its use is called. */
import { Command, Option, type CommanderError } from '@commander-js/extra-typings';
import type { Fault } from '../base/index.ts';
import { registerBackup } from './commands/backup.ts';
import { registerCutover } from './commands/cutover.ts';
import { registerDisk } from './commands/disk.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerFailback } from './commands/failback.ts';
import { registerFold } from './commands/fold.ts';
import { registerGc } from './commands/gc.ts';
import { registerHost } from './commands/host.ts';
import { registerInit } from './commands/init.ts';
import { registerKeys } from './commands/keys.ts';
import { registerJanitor } from './commands/janitor.ts';
import { registerPoints } from './commands/points.ts';
import { registerPolicy } from './commands/policy.ts';
import { registerPrune } from './commands/prune.ts';
import { registerRct } from './commands/rct.ts';
import { registerRecord } from './commands/record.ts';
import { registerRehearse } from './commands/rehearse.ts';
import { registerRepair } from './commands/repair.ts';
import { registerReplica } from './commands/replica.ts';
import { registerReplicate } from './commands/replicate.ts';
import { registerRestore } from './commands/restore.ts';
import { registerServe } from './commands/serve.ts';
import { registerStatus } from './commands/status.ts';
import { registerVerify } from './commands/verify.ts';
import { registerVms } from './commands/vms.ts';
import { cliFaults } from './faults.ts';
import type { CliIo } from './io.ts';
import { PROGRESS_MODES, type GlobalOptions, type Runner } from './session.ts';
import { packageVersion } from './version.ts';

const ORDER = [
  registerHost,
  registerDoctor,
  registerRecord,
  registerVms,
  registerInit,
  registerBackup,
  registerPoints,
  registerRestore,
  registerServe,
  registerReplicate,
  registerReplica,
  registerRehearse,
  registerCutover,
  registerFailback,
  registerVerify,
  registerRepair,
  registerPrune,
  registerGc,
  registerFold,
  registerPolicy,
  registerStatus,
  registerKeys,
  registerRct,
  registerJanitor,
  registerDisk,
];

export function buildProgram(io: Pick<CliIo, 'stdout' | 'stderr'>, run: Runner): Command {
  const program = new Command('hvlift')
    .description(
      'Takes virtual machines out of Microsoft Hyper-V: full and incremental backup, and restore. ' +
        '`hvlift lab` runs an emulated Hyper-V host to try it on; see `hvlift lab --help`.',
    )
    .version(packageVersion())
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // Told by run.ts, with its code and as JSON when that was asked for.
      outputError: () => {},
      getOutHelpWidth: () => io.stdout.columns ?? 80,
      getErrHelpWidth: () => io.stderr.columns ?? 80,
    });
  program.addOption(new Option('--config <file>', 'configuration file (HVLIFT_CONFIG)'));
  program.addOption(new Option('--json', 'print the result as one JSON document'));
  program.addOption(
    new Option('--progress <how>', 'progress on stderr; json: JSON lines')
      .choices(PROGRESS_MODES)
      .default('auto'),
  );
  for (const register of ORDER) register(program, run);
  return program;
}

export function globalOptions(program: Command): GlobalOptions {
  return program.opts() as GlobalOptions;
}

/** A mistake commander found, without the values it quotes: one of them may be a secret. */
export function usageFault(error: CommanderError, program: Command, argv: readonly string[]): Fault {
  return cliFaults.usage({ reason: reasonOf(error), command: commandNamed(program, argv) });
}

function reasonOf(error: CommanderError): string {
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  if (error.code === 'commander.unknownOption') {
    const option = /'(--?[^'=]+)/.exec(message)?.[1] ?? '';
    if (/pass|secret|key|pwd/i.test(option)) {
      return `a secret is not taken from the command line, where every user of this machine can read it (${option})`;
    }
    return message.replace(/'(--?[^'=]+)=[^']*'/, "'$1'");
  }
  return error.code === 'commander.excessArguments'
    ? message.replace(/ but got (\d+):.*/, ' but got $1')
    : message;
}

/** `hvlift host add`, as far as the arguments name a command. */
function commandNamed(program: Command, argv: readonly string[]): string {
  const names = [program.name()];
  let commands: readonly { name(): string; readonly commands: readonly unknown[] }[] = program.commands;
  for (const word of argv) {
    const command = commands.find((command) => command.name() === word);
    if (!command) continue;
    names.push(command.name());
    commands = command.commands as typeof commands;
  }
  return names.join(' ');
}
