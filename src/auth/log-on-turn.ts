/** Log-ons wait for the network inside a library that knows no cancellation: one at a time, and none for ever. */
import { hasCode, unlessAborted, withTimeout } from '../base/index.ts';
import { kerberosFaults } from './faults.ts';
import type { SecurityContext } from './security-context.ts';

export interface LogOnWait {
  /** For messages. */
  readonly user: string;
  readonly seconds: number;
  readonly signal: AbortSignal | undefined;
}

/** The library that {@link openInTurn} waits for. */
export interface TurnTaker {
  inTurn<T>(task: () => Promise<T>): Promise<T>;
}

/** Throws what `open` throws, `KERBEROS_TIMED_OUT` and the signal's reason. What is opened too late is disposed of. */
export async function openInTurn(
  library: TurnTaker,
  { user, seconds, signal }: LogOnWait,
  open: () => Promise<SecurityContext>,
): Promise<SecurityContext> {
  using deadline = withTimeout(seconds * 1000, 'Kerberos', signal);
  const opening = library.inTurn(() => {
    // It waited for its turn; a log-on nobody waits for would only hold up the next.
    deadline.signal.throwIfAborted();
    return open();
  });
  try {
    return await unlessAborted(opening, deadline.signal, (late) => late[Symbol.dispose]());
  } catch (error) {
    if (signal?.aborted || !hasCode(error, 'RUN_TIMED_OUT')) throw error;
    throw kerberosFaults.timedOut({ user, seconds }, { cause: error });
  }
}
