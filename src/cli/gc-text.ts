/** What a collection of garbage did, in lines. */
import { formatBytes } from '../base/index.ts';
import type { CollectReport } from '../repository/index.ts';
import { count } from './numbers.ts';

export function collectLines(report: CollectReport, dryRun: boolean): string[] {
  const { alive, condemned, revived, waiting, deleted, postponed, rewritten, deadInAliveBytes } = report;
  const text = ({ packs, bytes }: typeof alive): string => `${count(packs, 'pack')}, ${formatBytes(bytes)}`;
  const lines = [
    `${dryRun ? 'would be deleted' : 'deleted'}: ${text(deleted)}`,
    `found dead, deleted by a later run: ${text(condemned)}`,
    `needed: ${text(alive)}, ${formatBytes(deadInAliveBytes)} of that dead`,
  ];
  if (rewritten.packs > 0)
    lines.push(`${dryRun ? 'would be rewritten' : 'rewritten'}, mostly dead: ${text(rewritten)}`);
  if (revived.packs > 0) lines.push(`needed again: ${text(revived)}`);
  if (postponed.packs > 0)
    lines.push(`dead, and deleted when there is more: ${text(postponed)} (less than a new index costs)`);
  if (waiting.packs > 0) lines.push(`waiting until ${blockers(report)}: ${text(waiting)}`);
  return lines;
}

/** Whose end has to come first, so that who wonders where the space stays knows what to end. */
function blockers({ openSessions, readers }: CollectReport): string {
  const writers = openSessions - readers;
  return [
    ...(writers > 0 ? [`${count(writers, 'backup')} that began before they were found dead`] : []),
    ...(readers > 0 ? [`${count(readers, 'reader')} (restore, served disk, verification, copy)`] : []),
  ]
    .join(' and ')
    .concat(openSessions === 1 ? ' has ended' : ' have ended');
}
