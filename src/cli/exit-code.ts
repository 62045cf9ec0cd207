/** The exit codes, and the one place that derives them. docs/reference/cli.md lists the same table; a test compares. */
import { hasCode, isFault, type FaultKind } from '../base/index.ts';

export const EXIT = {
  ok: 0,
  unexpected: 1,
  refused: 2,
  corrupt: 3,
  warnings: 4,
  usage: 64,
  bug: 70,
  retry: 75,
  cancelled: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_KIND: Record<FaultKind, ExitCode> = {
  retry: EXIT.retry,
  refused: EXIT.refused,
  corrupt: EXIT.corrupt,
  bug: EXIT.bug,
};

/** Most serious first. A cancelled run that also met a failure reports the failure. */
const BY_SEVERITY: readonly ExitCode[] = [
  EXIT.bug,
  EXIT.corrupt,
  EXIT.unexpected,
  EXIT.refused,
  EXIT.usage,
  EXIT.retry,
  EXIT.cancelled,
  EXIT.warnings,
  EXIT.ok,
];

export function exitCodeOf(error: unknown): ExitCode {
  if (isCancellation(error)) return EXIT.cancelled;
  if (hasCode(error, 'CLI_USAGE')) return EXIT.usage;
  return isFault(error) ? BY_KIND[error.kind] : EXIT.unexpected;
}

/** The exit code of something that finished, perhaps with an error and perhaps with warnings. */
export function exitCodeOfOutcome(outcome: {
  readonly error?: unknown;
  readonly warnings: readonly unknown[];
}): ExitCode {
  if (outcome.error !== undefined) return exitCodeOf(outcome.error);
  return outcome.warnings.length > 0 ? EXIT.warnings : EXIT.ok;
}

export type Outcome = 'success' | 'warning' | 'failed';

/** `warning`: the restore point is good, and something else needs attention. With an error the run failed, whatever it stored. */
export function outcomeOf(run: { readonly error?: unknown; readonly warnings: readonly unknown[] }): Outcome {
  if (run.error !== undefined) return 'failed';
  return run.warnings.length > 0 ? 'warning' : 'success';
}

/** Of several outcomes the most serious decides. */
export function worstOf(codes: readonly ExitCode[]): ExitCode {
  return BY_SEVERITY.find((code) => codes.includes(code)) ?? EXIT.ok;
}

function isCancellation(error: unknown): boolean {
  return hasCode(error, 'RUN_CANCELLED') || (error instanceof Error && error.name === 'AbortError');
}
