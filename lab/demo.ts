/** `npm run demo [-- --small]`: see lab/demo/run.ts. Ends with 1 when anything differs, with 130 after Ctrl-C. */
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { FULL_PLAN, SMALL_PLAN } from './demo/plan.ts';
import { PROGRAM_FOLDERS } from './demo/programs.ts';
import { runDemo } from './demo/run.ts';
import { Screen } from './demo/screen.ts';

const EXIT_AFTER = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGPIPE: 141 } as const;

const { values } = parseArgs({ options: { small: { type: 'boolean', default: false } } });
const screen = new Screen((line) => console.log(line));
let folder: string | undefined;
let killHost: (() => void) | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => leave(signal));
// Node reports a reader that has gone, as in `npm run demo | head`, in this way and not by the signal.
process.stdout.once('error', () => leave('SIGPIPE'));

const failures = await demo().catch((error: unknown) => [
  error instanceof Error ? error.message : String(error),
]);
for (const failure of failures) screen.line(`FAILED: ${failure}`);
if (failures.length > 0) process.exitCode = 1;

function demo(): Promise<string[]> {
  return runDemo({
    plan: values.small ? SMALL_PLAN : FULL_PLAN,
    screen,
    programFolders: PROGRAM_FOLDERS,
    onFolder: (path) => (folder = path),
    onHost: (kill) => (killHost = kill),
  });
}

/** Nothing outside the folder was touched, so nothing has to be undone in order: the host goes, then the folder. */
function leave(signal: keyof typeof EXIT_AFTER): void {
  killHost?.();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  if (signal !== 'SIGPIPE') screen.line(`\nEnded by ${signal}; everything was removed.`);
  process.exit(EXIT_AFTER[signal]);
}
