/** What a test needs from the machine. A missing program skips the test and names what was therefore not proved. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `{ skip: reason }` when one of the programs is missing, else `{}`: spread it into the options of `test`. */
export function requires(programs: readonly string[], unproved: string): { skip?: string } {
  const missing = programs.filter((name) => !hasProgram(name));
  return missing.length === 0 ? {} : { skip: `${missing.join(', ')} is missing; not proved: ${unproved}` };
}

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '')
    .split(':')
    .concat('/usr/sbin', '/sbin')
    .some((folder) => existsSync(join(folder, name)));
}

/** Debian's own Python, where Debian's python3-* packages live, with `modules` importable. */
export function requiresPython(modules: readonly string[], unproved: string): { skip?: string } {
  const check = spawnSync(DEBIAN_PYTHON, ['-c', modules.map((name) => `import ${name}`).join('\n')]);
  return check.status === 0
    ? {}
    : { skip: `${DEBIAN_PYTHON} cannot import ${modules.join(', ')}; not proved: ${unproved}` };
}

export const DEBIAN_PYTHON = '/usr/bin/python3';

const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The recordings of real hosts lie beside the project, not in it (their licences differ). Absent, the tests that replay
 * them do not exist rather than skip: what they prove is listed in docs/operating/proof.md.
 */
export function recordingsFolder(): string | undefined {
  const folder = join(projectRoot, '..', 'shared', 'facts', 'recordings');
  return existsSync(folder) ? folder : undefined;
}
