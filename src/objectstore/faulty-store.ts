/**
 * A store that fails on demand, before or after a call took effect: what a lost request and a lost answer look like.
 * {@link stopAt} makes it the store of a process that dies, so that tests can enumerate every point of death.
 */
import type { ObjectStore } from './port.ts';
import { layered, type StoreCall } from './store-layer.ts';

export interface StoreHooks {
  /** What it throws, the call throws; the store below is not asked. A promise that never ends makes the call hang. */
  readonly before?: (call: StoreCall) => void | Promise<void>;
  /** What it throws, the call throws, although it took effect. */
  readonly after?: (call: StoreCall) => void | Promise<void>;
}

export function faultyStore(inner: ObjectStore, hooks: StoreHooks): ObjectStore {
  return layered(inner, async (call, run) => {
    await hooks.before?.(call);
    const result = await run();
    await hooks.after?.(call);
    return result;
  });
}

/** Thrown by every call from the point of death on. */
export class StoppedError extends Error {
  constructor() {
    super('the process is dead at this point of the test');
    this.name = 'StoppedError';
  }
}

/** Hooks of a process that dies before or after call `number` took effect: that call and every later one throw. */
export function stopAt(number: number, when: 'before' | 'after'): StoreHooks {
  const stopFrom =
    (first: number) =>
    (call: StoreCall): void => {
      if (call.number >= first) throw new StoppedError();
    };
  return when === 'before'
    ? { before: stopFrom(number) }
    : { before: stopFrom(number + 1), after: stopFrom(number) };
}
