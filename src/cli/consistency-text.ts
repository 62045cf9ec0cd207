/** The consistency of a restore point in words. */
import type { BackupRun } from './engine.ts';

type Consistency = BackupRun['consistency'];

/** What was reached and what was asked for. */
export function consistencyText({ asked, reached, truncatedLogs, reason }: Consistency): string {
  const why = reason === undefined ? '' : `; ${reason}`;
  return `${reached ?? 'unknown'} (asked: ${asked}${why})${truncatedLogs ? ', logs truncated' : ''}`;
}

/** For a table: what was asked for only when that was more than what was reached. */
export function consistencyCell(consistency: Consistency): string {
  const { asked, reached = 'unknown', truncatedLogs } = consistency;
  const less = asked !== 'crash' && (reached === 'crash' || reached === 'unknown');
  return less ? `${reached}, not application` : `${reached}${truncatedLogs ? ', logs truncated' : ''}`;
}
