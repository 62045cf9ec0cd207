/**
 * The mark of a process: short text from which another process can tell, much later, that its maker is dead.
 *
 *   machine.boot.namespace.pid.start
 *
 * machine is a hash of host name and machine id; namespace tells containers of one machine apart, whose process numbers
 * mean different processes; start (clock ticks after boot) tells a process from a later one with the same number.
 * Where the system does not say (no /proc), the part is `0` and proves nothing.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export type ProcessState = 'alive' | 'dead' | 'unknown';

const MARK = /^([0-9a-f]{8})\.([0-9a-f]{1,8})\.(\d+)\.(\d+)\.(\d+)$/;

/** The mark of this process. Letters, digits and dots; it may be part of a file name. */
export function processMark(): string {
  own ??= [machine(), boot(), namespace(), process.pid, startOf('self') ?? 0].join('.');
  return own;
}

/** Five files of the system say it, and every object that is stored asks. */
let own: string | undefined;

/**
 * What is known here about the process that made `mark`. `unknown` for other machines, for containers beside this one,
 * and for text that is no mark.
 */
export function processState(mark: string): ProcessState {
  const parts = MARK.exec(mark);
  if (!parts || parts[1] !== machine()) return 'unknown';
  if (parts[2] !== boot()) return 'dead';
  if (parts[3] !== namespace()) return 'unknown';
  const pid = Number(parts[4]);
  if (!exists(pid)) return 'dead';
  const start = startOf(pid);
  return start === undefined || parts[5] === '0' || start === parts[5] ? 'alive' : 'dead';
}

function machine(): string {
  const id = contentOf('/etc/machine-id') ?? '';
  return createHash('sha256').update(`${hostname()}\n${id}`).digest('hex').slice(0, 8);
}

function boot(): string {
  return contentOf('/proc/sys/kernel/random/boot_id')?.slice(0, 8) ?? '0';
}

function namespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'; // EPERM: it exists and belongs to another user
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); a zombie counts as gone: `-1` matches no mark. */
function startOf(pid: number | 'self'): string | undefined {
  const text = contentOf(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // the program's name may hold blanks and brackets
  return fields[0] === 'Z' ? '-1' : fields[19];
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
