/**
 * A read session: somebody reads restore points for a while, and the collector leaves alone what that needs.
 *
 *   register ─► is the point there still? ─► read, for minutes or for weeks ─► the registration goes
 *
 * It is registered as a write session is, in an epoch before all others: what was condemned before it began, and is needed by a
 * point that was committed since, stays as well. So while it stands nothing is deleted at all; packs that wait are told by `gc`.
 *
 * A restore must also work where nothing can be written: from a read-only copy, with rights to read alone, on a volume that is
 * full. It is then not registered, and its reader is told so.
 */
import { hasCode, isFault, warningOf, type Fault, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { repositoryFaults } from './faults.ts';
import type { Lease } from './lease.ts';
import type { Points } from './points.ts';
import type { RestorePoint } from './point.ts';
import { READING_EPOCH, type SessionRegistry } from './session-registry.ts';

/** What whoever reads has to be told. */
export function warningsOfReading({ unregistered }: ReadSession): Warning[] {
  return unregistered ? [warningOf(unregistered)] : [];
}

export interface ReadSessionParts {
  readonly sessions: SessionRegistry;
  readonly points: Points;
}

export class ReadSession implements AsyncDisposable {
  /** Why the store did not take the registration; undefined: it did. */
  readonly unregistered: Fault | undefined;
  readonly #lease: Lease | undefined;
  readonly #points: Points;
  readonly #point: RestorePoint | undefined;

  private constructor(registered: Lease | Fault, points: Points, point: RestorePoint | undefined) {
    if (isFault(registered)) this.unregistered = registered;
    else this.#lease = registered;
    this.#points = points;
    this.#point = point;
  }

  /** Throws `REPO_POINT_NOT_FOUND` when the point was dropped before anybody could know that it is read. */
  static async start(
    { sessions, points }: ReadSessionParts,
    point: RestorePoint | undefined,
    options: CallOptions,
  ): Promise<ReadSession> {
    const session = new ReadSession(await register(sessions, options), points, point);
    try {
      if (point && !(await points.exists(point, options)))
        throw repositoryFaults.pointNotFound({ point: point.id });
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `error`, or that the point was dropped while it was read, when that is why something of it is not there. */
  async explain(error: unknown): Promise<unknown> {
    const point = this.#point;
    if (!point || !hasCode(error, 'REPO_OBJECT_MISSING', 'REPO_OBJECT_DAMAGED')) return error;
    const isThere = await this.#points.exists(point).catch(() => true);
    return isThere ? error : repositoryFaults.pointDropped({ point: point.id }, { cause: error });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease?.[Symbol.asyncDispose]();
  }
}

async function register(sessions: SessionRegistry, options: CallOptions): Promise<Lease | Fault> {
  try {
    return await sessions.register(READING_EPOCH, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isFault(error) || !error.code.startsWith('STORE_')) throw error;
    return repositoryFaults.readUnregistered({ reason: error.message }, { cause: error });
  }
}
