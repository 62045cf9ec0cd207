/** Whether a run failed because its VM went to another node of a cluster meanwhile. */
import type { Source } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';

/** False when that cannot be found out: the first error is the one to report. */
export async function hasMoved(source: Source, vm: string, { signal }: CallOptions): Promise<boolean> {
  if (!source.moved || signal?.aborted) return false;
  return source.moved(vm, { signal }).catch(() => false);
}
