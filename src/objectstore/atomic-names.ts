/** Does a store give a name once only? Without that, two runs at the same time destroy what the other stored. */
import { randomBytes } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { storeFaults } from './faults.ts';
import type { ObjectStore } from './port.ts';

/** Leaves nothing behind where the account may delete. Throws `STORE_NAMES_NOT_ATOMIC`, and what the store throws. */
export async function demandAtomicNames(store: ObjectStore, options: CallOptions = {}): Promise<void> {
  const name = `probe/${randomBytes(16).toString('hex')}`;
  await store.putNew(name, Buffer.from('first'), options);
  try {
    await store.putNew(name, Buffer.from('second'), options);
    throw storeFaults.namesNotAtomic({ location: store.location });
  } catch (error) {
    if (!hasCode(error, 'STORE_NAME_TAKEN')) throw error;
  } finally {
    // Who may only write leaves a few bytes of no meaning; that is no reason to refuse.
    await store.delete(name, options).catch(() => {});
  }
}
