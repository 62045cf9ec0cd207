/** A run that ends before its checkpoint fills a volume of the host: one signal for the user's patience and the host's room. */
import type { Capture, WatchOptions } from '../capture/index.ts';
import type { BackupRequest } from './backup.ts';

export interface RunRoom {
  /** For everything the run does until its restore point is committed. */
  readonly signal: AbortSignal;
  /** Does `work` while the room of the capture is looked after. What it throws is why it was aborted, where that is known. */
  watching<T>(capture: Capture, work: () => Promise<T>): Promise<T>;
}

export function roomOf(request: BackupRequest): RunRoom {
  const gone = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, gone.signal]) : gone.signal;
  const limits = { budget: request.checkpointBudget, everyMs: request.lookEveryMs };
  return {
    signal,
    async watching(capture, work) {
      const ended = new AbortController();
      const watch: WatchOptions = { ...limits, signal: AbortSignal.any([signal, ended.signal]) };
      const watched = capture.watch?.(watch).catch((error: unknown) => gone.abort(error));
      try {
        return await work();
      } catch (error) {
        throw gone.signal.aborted && !request.signal?.aborted ? gone.signal.reason : error;
      } finally {
        // A look under way ends before the checkpoint is converted: the host is asked one thing at a time.
        ended.abort();
        await watched;
      }
    },
  };
}
