/**
 * The program: arguments in, exit code out. Nothing here touches the process; {@link file://./main.ts} does.
 *
 *   argv ──► commander ──► commands/<name>.ts ──► Engine
 *                 │                │
 *                 └── errors ──────┴──► one report: stderr, the JSON document, the exit code
 */
import { CommanderError } from '@commander-js/extra-typings';
import type { Engine } from './engine.ts';
import { reportOf } from './error-report.ts';
import { EXIT, exitCodeOf, type ExitCode } from './exit-code.ts';
import type { CliIo } from './io.ts';
import { Output } from './output.ts';
import { buildProgram, globalOptions, usageFault } from './program.ts';
import { SecretLog } from './secret.ts';
import { Session } from './session.ts';

/**
 * Runs one command line (`argv` without the program's name) and resolves to its exit code; never rejects. The engine is
 * opened by a command only: help, the version and a mistyped option do not wait for it to load.
 */
export async function main(
  argv: readonly string[],
  io: CliIo,
  openEngine: () => Promise<Engine>,
): Promise<ExitCode> {
  const secretLog = new SecretLog();
  let code: ExitCode = EXIT.ok;
  const program = buildProgram(io, async (work) => {
    const globals = globalOptions(program);
    const output = outputFor(io, globals, secretLog);
    io.interrupts.announceTo((text) => output.say(text));
    code = await work(new Session({ io, engine: await openEngine(), output, secretLog, globals }));
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && isHelp(error)) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const fault = error instanceof CommanderError ? usageFault(error, program, argv) : error;
    const output = outputFor(io, globalOptions(program), secretLog);
    return tell(fault, output, reportOf(fault, secretLog, io.env['HVLIFT_DEBUG'] === '1'));
  }
}

async function tell(error: unknown, output: Output, report: ReturnType<typeof reportOf>): Promise<ExitCode> {
  output.fault(report);
  if (output.json) await output.result({ error: report }, () => []);
  return exitCodeOf(error);
}

function outputFor(io: CliIo, globals: ReturnType<typeof globalOptions>, secrets: SecretLog): Output {
  const { stdout, stderr, env } = io;
  return new Output({
    stdout,
    stderr,
    env,
    secrets,
    json: globals.json === true,
    events: globals.progress === 'json',
  });
}

/** Help and the version were printed already: asked for (exit 0), or because no command was named. */
function isHelp(error: CommanderError): boolean {
  return ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(error.code);
}
