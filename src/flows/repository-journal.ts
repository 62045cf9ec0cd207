/** A repository's journal as a capture keeps it: one note a step of a run. */
import type { CaptureJournal, JournalEntry } from '../capture/index.ts';
import type { Repository } from '../repository/index.ts';

export function repositoryJournal(repository: Repository, consumer?: string): CaptureJournal {
  const owner = repository.id.slice(0, 8);
  return {
    consumer: consumer === undefined ? owner : `${owner}.${consumer}`,
    async entries(vmId) {
      const notes = await repository.journal.notes(vmId);
      return notes.map((note) => note.value as unknown as JournalEntry);
    },
    async record(entry) {
      await repository.journal.record(entry.vmId, { key: `${entry.runId}-${entry.step}`, value: entry });
    },
    async clear(vmId, runId) {
      await repository.journal.clear(vmId, runId);
    },
  };
}
