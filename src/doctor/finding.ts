/**
 * What one check found, as plain data.
 *
 *   ok         seen, and as a backup needs it
 *   warning    a backup works, but something is to be looked at
 *   failed     a backup would fail
 *   skipped    not looked at: it is not configured, or what it needs failed
 *   unproved   looked at as far as is possible without changing the host, which does not decide it
 */
import { isFault, type Fault } from '../base/index.ts';
import { powershellFor, type FixContext } from './powershell.ts';

export type FindingState = 'ok' | 'warning' | 'failed' | 'skipped' | 'unproved';

export interface Fix {
  readonly text: string;
  /** Lines to paste into a PowerShell of an administrator on the host; empty when there is nothing to paste. */
  readonly powershell: readonly string[];
}

export interface Finding {
  /** Stable: for scripts that look for one check. */
  readonly id: string;
  readonly title: string;
  /** Of a cluster: another node than the one that was configured. */
  readonly node?: string;
  readonly state: FindingState;
  readonly seen: string;
  readonly code?: string;
  readonly fix?: Fix;
  /** As thrown. */
  readonly error?: unknown;
}

/** The name of a check; what it found is added. */
export type Check = Pick<Finding, 'id' | 'title'>;

export function ok(check: Check, seen: string): Finding {
  return { ...check, state: 'ok', seen };
}

export function skipped(check: Check, seen: string): Finding {
  return { ...check, state: 'skipped', seen };
}

export function unproved(check: Check, seen: string): Finding {
  return { ...check, state: 'unproved', seen };
}

export function warning(check: Check, fault: Fault, context: FixContext): Finding {
  return { ...check, state: 'warning', ...told(fault, context) };
}

/** As {@link warning}, where no Windows host is concerned. */
export function warned(check: Check, fault: Fault): Finding {
  return { ...check, state: 'warning', ...told(fault) };
}

/** Without `context` there is nothing to paste on a host. */
export function failed(check: Check, error: unknown, context?: FixContext): Finding {
  if (isFault(error)) return { ...check, state: 'failed', ...told(error, context), error };
  return { ...check, state: 'failed', seen: error instanceof Error ? error.message : String(error), error };
}

function told(fault: Fault, context?: FixContext): Pick<Finding, 'seen' | 'code' | 'fix'> {
  const { code, message, remedy } = fault;
  const powershell = context ? powershellFor(fault, context) : [];
  return { seen: message, code, fix: { text: remedy, powershell } };
}
