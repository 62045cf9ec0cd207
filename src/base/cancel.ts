/** Cancellation: every wait takes an AbortSignal, and a cancelled wait throws the signal's reason. */
import { faults } from './fault.ts';

export const cancelFaults = faults('RUN', {
  cancelled: {
    kind: 'retry',
    text: 'the run was cancelled',
    remedy: 'start it again; nothing half-done was committed',
  },
  timedOut: {
    kind: 'retry',
    text: '{what} did not finish within {seconds} s',
    remedy: 'look at the host and the network, then start again',
  },
});

/** Waits `milliseconds`, or throws the signal's reason at once when it is aborted. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal));
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(reasonOf(signal!));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Waits for `promise` no longer than `signal` allows. The work itself goes on; what it yields too late is given to
 * `discard`, so that nothing it opened stays open.
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  discard?: (late: T) => unknown,
): Promise<T> {
  if (!signal) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(reasonOf(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    promise.then(discard, () => undefined).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : cancelFaults.cancelled();
}

/** A signal that also aborts after `milliseconds`, with a fault that names what was waited for. */
export function withTimeout(
  milliseconds: number,
  what: string,
  signal?: AbortSignal,
): { signal: AbortSignal; [Symbol.dispose](): void } {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(cancelFaults.timedOut({ what, seconds: Math.round(milliseconds / 1000) })),
    milliseconds,
  );
  timer.unref();
  const combined = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  return { signal: combined, [Symbol.dispose]: () => clearTimeout(timer) };
}
