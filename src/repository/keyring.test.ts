/** Secrets come and go, and at every moment somebody who had one can open the repository. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import {
  StoppedError,
  createMemoryStore,
  faultyStore,
  stopAt,
  type MemoryStore,
  type ObjectStore,
} from '../objectstore/index.ts';
import { createRepository, keySlotsOf, openKeyring, openRepository } from './open-repository.ts';

const withCode = (code: string) => (error: unknown) => hasCode(error, code);

/** Made once: deriving a key from a passphrase takes half a second. */
const template = await (async () => {
  const store = createMemoryStore();
  const { recoveryKey } = await createRepository(store, { encryption: { passphrase: 'first' } });
  return { store, recoveryKey: recoveryKey! };
})();

async function copied(): Promise<MemoryStore> {
  const copy = createMemoryStore();
  for await (const { name, size } of template.store.list(''))
    await copy.putNew(name, await template.store.getRange(name, 0, size));
  return copy;
}

const byRecovery = { recoveryKey: template.recoveryKey };

test('a slot tells its kind and its time without a secret, and the fault of a wrong one lists them', async () => {
  const slots = await keySlotsOf(template.store);
  assert.deepEqual(
    slots.map(({ kind }) => kind).toSorted((a, b) => (a! < b! ? -1 : 1)),
    ['passphrase', 'recovery'],
  );
  for (const { created } of slots) assert.ok(Date.now() - Date.parse(created!) < 600_000);
  await assert.rejects(openRepository(template.store, { passphrase: 'wrong' }), (error) => {
    assert.ok(hasCode(error, 'REPO_WRONG_PASSPHRASE'));
    for (const { slot } of slots) assert.ok((error as Error).message.includes(slot));
    return true;
  });
});

test('a passphrase that was added opens the repository, and one that was removed does not', async () => {
  const store = await copied();
  const keyring = await openKeyring(store, byRecovery);
  await keyring.add({ passphrase: 'second' });
  const first = (await keyring.list()).filter(({ kind }) => kind === 'passphrase');
  const old = (await keySlotsOf(template.store)).find(({ kind }) => kind === 'passphrase')!;
  assert.equal(first.length, 2);
  await keyring.remove(old.slot.slice(0, 6));
  await openRepository(store, { passphrase: 'second' });
  await openRepository(store, byRecovery);
  await assert.rejects(openRepository(store, { passphrase: 'first' }), withCode('REPO_WRONG_PASSPHRASE'));
});

test('the last slot that is whole stays; a damaged one does not count', async () => {
  const store = await copied();
  const keyring = await openKeyring(store, byRecovery);
  const other = (await keyring.list()).find(({ slot }) => slot !== keyring.opened)!;
  store.damage(`keys/${other.slot}`, (bytes) => bytes.with(20, bytes[20]! ^ 1));
  assert.ok((await keyring.list()).find(({ slot }) => slot === other.slot)!.problem);
  await assert.rejects(keyring.remove(keyring.opened), withCode('REPO_KEY_SLOT_LAST'));
  await keyring.remove(other.slot);
  await assert.rejects(keyring.remove(keyring.opened), withCode('REPO_KEY_SLOT_LAST'));
  await assert.rejects(keyring.remove('zz'), withCode('REPO_KEY_SLOT_NOT_FOUND'));
  await openRepository(store, byRecovery);
});

test('two that remove the last two slots at once leave one', async () => {
  const store = await copied();
  const slots = await keySlotsOf(store);
  const keyrings = await Promise.all(slots.map(() => openKeyring(store, byRecovery)));
  const ends = await Promise.allSettled(keyrings.map((keyring, index) => keyring.remove(slots[index]!.slot)));
  assert.ok(ends.filter(({ status }) => status === 'rejected').length >= 1);
  assert.ok((await keySlotsOf(store)).length >= 1);
});

test('a rotation that dies at any call of the store leaves a repository that the old or the new key opens', async () => {
  let cuts = 0;
  for (const when of ['before', 'after'] as const) {
    for (let step = 1, done = false; !done; step += 1) {
      const store = await copied();
      const { opened: old } = await openKeyring(store, byRecovery);
      let told: string | undefined;
      const dying = faultyStore(store, stopAt(step, when));
      const rotated = await rotate(dying, (key) => (told = key)).catch(isStopped);
      const slots = await keySlotsOf(store);
      assert.ok(slots.length >= 2 && slots.every(({ problem }) => problem === undefined));
      const stays = slots.some(({ slot }) => slot === old);
      await openRepository(store, stays ? byRecovery : { recoveryKey: told! });
      if (rotated) await assert.rejects(openRepository(store, byRecovery), withCode('REPO_WRONG_PASSPHRASE'));
      done = rotated !== undefined;
      cuts += 1;
    }
  }
  assert.ok(cuts >= 20, `only ${cuts} cuts`);
});

async function rotate(store: ObjectStore, tell: (key: string) => void) {
  const keyring = await openKeyring(store, byRecovery);
  return keyring.rotate('recovery-key', async ({ recoveryKey }) => tell(recoveryKey!));
}

function isStopped(error: unknown): undefined {
  assert.ok(error instanceof StoppedError, String(error));
}

test('a plain repository has no secrets to change', async () => {
  const store = createMemoryStore();
  await createRepository(store, { encryption: 'none' });
  await assert.rejects(openKeyring(store), withCode('REPO_KEYS_IN_THE_CLEAR'));
  assert.deepEqual(
    (await keySlotsOf(store)).map(({ kind }) => kind),
    ['clear'],
  );
});
