/** How an error is told: the lines on stderr, and the `error` object of `--json`. The same facts in both. */
import { isFault } from '../base/index.ts';
import type { SecretLog } from './secret.ts';

/** Causes beyond this depth say nothing a user can act on. */
const CAUSES_MAX = 5;

export interface ErrorReport {
  readonly code: string;
  readonly kind: 'retry' | 'refused' | 'corrupt' | 'bug' | 'unexpected';
  readonly message: string;
  /** What was lost; `nothing` most of the time. */
  readonly lost: string;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** The causes, outermost first, each `CODE: message` or the message of a foreign error. */
  readonly causes: readonly string[];
  /** With HVLIFT_DEBUG=1 only. */
  readonly stack?: string;
}

/** Secrets the run has used are taken out of every text. `debug` adds the stack. */
export function reportOf(error: unknown, secrets: SecretLog, debug: boolean): ErrorReport {
  const clean = (text: string): string => secrets.scrub(text);
  const stack = debug && error instanceof Error && error.stack ? { stack: clean(stackOf(error)) } : {};
  const causes = causesOf(error).map(clean);
  if (!isFault(error)) return { ...unexpected(clean(messageOf(error))), causes, ...stack };
  return {
    code: error.code,
    kind: error.kind,
    message: clean(error.message),
    lost: clean(error.lost ?? 'nothing'),
    remedy: clean(error.remedy),
    details: scrubValues(error.toJSON()['details'] as Record<string, unknown>, clean),
    causes,
    ...stack,
  };
}

/** An exception nobody declared: a gap in the program. */
function unexpected(message: string): Omit<ErrorReport, 'causes'> {
  return {
    code: 'UNEXPECTED',
    kind: 'unexpected',
    message,
    lost: 'what this command was doing; restore points committed earlier are not touched',
    remedy:
      'run the command again with HVLIFT_DEBUG=1 and report what it prints as README.md says; it holds no secrets',
    details: {},
  };
}

export function errorLines(report: ErrorReport): string[] {
  const [first, ...rest] = report.message.split('\n');
  return [
    `error ${report.code}: ${first}`,
    ...rest.map((line) => `  ${line}`),
    // Many faults quote the operating system already; twice would only look like two errors.
    ...report.causes.filter((cause) => !report.message.includes(cause)).map((cause) => `because: ${cause}`),
    // A mistyped command has begun nothing; there the line would only be in the way.
    ...(report.code === 'CLI_USAGE' ? [] : [`lost: ${report.lost}`]),
    `do: ${report.remedy}`,
    ...(report.stack?.split('\n') ?? []),
  ];
}

function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause !== undefined && causes.length < CAUSES_MAX) {
    causes.push(isFault(cause) ? `${cause.code}: ${cause.message}` : messageOf(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text === '' ? 'no reason was given' : text;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

function scrubValues(
  details: Readonly<Record<string, unknown>>,
  clean: (text: string) => string,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [name, typeof value === 'string' ? clean(value) : value]),
  );
}
