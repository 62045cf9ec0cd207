/** The part of the engine that changes who can open a repository. */
import {
  keySlotsOf,
  openKeyring,
  type KeySlotInfo,
  type Keyring,
  type NewSecret,
} from '../repository/index.ts';
import type { Engine, KeyAdded, KeySlot, NewKey, RepositoryAccess, Task } from './engine.ts';
import { openStore } from './repository-store.ts';
import { Secret } from './secret.ts';

export const keysEngine: Pick<Engine, 'keySlots' | 'addKey' | 'removeKey' | 'rotateKey'> = {
  async keySlots(access, { signal }) {
    const slots = await keySlotsOf(await openStore(access, { signal }), { signal });
    return { slots: slots.map(slotOf) };
  },
  async addKey({ repository, secret }, task) {
    const keyring = await openKeyringOf(repository, task);
    return addedOf(await keyring.add(secretOf(secret), task));
  },
  async removeKey({ repository, slot }, task) {
    return slotOf(await (await openKeyringOf(repository, task)).remove(slot, task));
  },
  async rotateKey({ repository, secret, slot }, told, task) {
    const keyring = await openKeyringOf(repository, task);
    const { signal } = task;
    return slotOf(await keyring.rotate(secretOf(secret), (added) => told(addedOf(added)), { slot, signal }));
  },
};

async function openKeyringOf(access: RepositoryAccess, { signal }: Task): Promise<Keyring> {
  const store = await openStore(access, { signal });
  await keySlotsOf(store, { signal }); // a wrong path is told before a secret is asked for
  const { kind, secret } = await access.unlock();
  const text = secret.reveal();
  return openKeyring(store, {
    ...(kind === 'passphrase' ? { passphrase: text } : { recoveryKey: text }),
    signal,
  });
}

function secretOf(key: NewKey): NewSecret {
  return key === 'recovery-key' ? key : { passphrase: key.passphrase.reveal() };
}

function addedOf({ slot, recoveryKey }: { slot: string; recoveryKey?: string }): KeyAdded {
  return { slot, ...(recoveryKey === undefined ? {} : { recoveryKey: new Secret(recoveryKey) }) };
}

function slotOf({ slot, kind, created, problem }: KeySlotInfo): KeySlot {
  return {
    slot,
    ...(kind === undefined ? {} : { kind: kind === 'recovery' ? 'recovery-key' : kind }),
    ...(created === undefined ? {} : { createdAt: created }),
    ...(problem === undefined ? {} : { problem }),
  };
}
