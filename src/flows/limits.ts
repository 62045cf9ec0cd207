/**
 * What all readers of a host's files share: bytes per second in all, and for each volume a guard over the time its reads take.
 * A volume that is slow is spared without holding up the others.
 */
import { LatencyGuard, RateLimit, realClock, type Clock } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import { volumeOf } from './volume-of.ts';

export interface ReadLimitOptions {
  readonly bytesPerSecond?: number | undefined;
  /** Reads that take longer on the average make room. */
  readonly latencyMs?: number | undefined;
  readonly clock?: Clock;
}

export class ReadLimits {
  readonly #rate: RateLimit | undefined;
  readonly #options: ReadLimitOptions;
  readonly #guards = new Map<string, LatencyGuard>();

  constructor(options: ReadLimitOptions) {
    const { bytesPerSecond, clock } = options;
    this.#options = options;
    this.#rate = bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond, clock);
  }

  /** The same files, read within the limits. Readers no longer say where their bytes lie: threads would read past the limits. */
  over(files: HostFiles): HostFiles {
    return {
      open: async (path, options) => this.#reader(await files.open(path, options), path),
      describe: () => files.describe(),
      close: () => files.close(),
    };
  }

  #reader(reader: RangeReader, path: string): RangeReader {
    const guard = this.#guardOf(volumeOf(path));
    const read = async (offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> => {
      await this.#rate?.take(into.length, options.signal);
      if (!guard) return reader.read(offset, into, options);
      await guard.run(() => reader.read(offset, into, options), options.signal);
    };
    return { size: reader.size, read, close: () => reader.close() };
  }

  #guardOf(volume: string): LatencyGuard | undefined {
    const { latencyMs, clock = realClock } = this.#options;
    if (latencyMs === undefined) return undefined;
    const guard = this.#guards.get(volume) ?? new LatencyGuard(latencyMs, clock);
    this.#guards.set(volume, guard);
    return guard;
  }
}
