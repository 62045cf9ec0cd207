import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import {
  StoppedError,
  createMemoryStore,
  faultyStore,
  stopAt,
  type MemoryStore,
} from '../objectstore/index.ts';
import { encodeChecked } from './header.ts';
import { createRepository, openKeyring, openRepository, probeRepository } from './open-repository.ts';
import { formatRecoveryKey, newRecoveryKey } from './recovery-key.ts';
import { backUp, contentOf, diskWith, sampleBytes, VM_ID } from './repository.fixture.ts';

const PASSPHRASE = 'correct horse, bättery';
const withCode = (code: string) => (error: unknown) => hasCode(error, code);

/** Made once: deriving a key from a passphrase takes half a second. */
const world = await (async () => {
  const store = createMemoryStore();
  const { repository, recoveryKey } = await createRepository(store, {
    encryption: { passphrase: PASSPHRASE },
  });
  const disk = await diskWith(100_000, [[0, sampleBytes(100_000, 1)]]);
  await backUp(repository, { reader: disk, extents: disk.allocated() });
  return { store, recoveryKey: recoveryKey!, content: await contentOf(disk), id: repository.id };
})();

async function copyOf(
  store: MemoryStore,
  change: (name: string, bytes: Uint8Array) => Uint8Array,
): Promise<MemoryStore> {
  const copy = createMemoryStore();
  for await (const { name, size } of store.list(''))
    await copy.putNew(name, change(name, await store.getRange(name, 0, size)));
  return copy;
}

test('the passphrase and the recovery key each open the repository; nothing is readable without', async () => {
  for (const secret of [
    { passphrase: PASSPHRASE.normalize('NFD') },
    { recoveryKey: world.recoveryKey.toLowerCase() },
  ]) {
    const repository = await openRepository(world.store, secret);
    const { root, size } = (await repository.point('latest', { vmId: VM_ID })).disks[0]!;
    assert.ok((await contentOf(repository.openDisk(root, size))).equals(world.content));
  }
  const { store } = world;
  await assert.rejects(openRepository(store), withCode('REPO_PASSPHRASE_NEEDED'));
  await assert.rejects(openRepository(store, { passphrase: 'wrong' }), withCode('REPO_WRONG_PASSPHRASE'));
  const otherKey = formatRecoveryKey(newRecoveryKey());
  await assert.rejects(openRepository(store, { recoveryKey: otherKey }), withCode('REPO_WRONG_PASSPHRASE'));
  await assert.rejects(openRepository(store, { recoveryKey: 'ABCD' }), withCode('REPO_RECOVERY_KEY_INVALID'));
  assert.deepEqual(await probeRepository(store), { encrypted: true });
});

test('no secret, no key and no content stands in any file of an encrypted repository', async () => {
  const marks: Buffer[] = [PASSPHRASE, world.recoveryKey, world.recoveryKey.replaceAll('-', '')].map((text) =>
    Buffer.from(text),
  );
  marks.push(world.content.subarray(1000, 1032), Buffer.from(VM_ID));
  for await (const { name, size } of world.store.list('')) {
    const bytes = Buffer.from(await world.store.getRange(name, 0, size));
    for (const mark of marks) assert.ok(!bytes.includes(mark), name);
  }
});

test('a repository without encryption opens without a secret, says so, and refuses one', async () => {
  const store = createMemoryStore();
  const { repository, recoveryKey } = await createRepository(store, { encryption: 'none' });
  assert.equal(recoveryKey, undefined);
  assert.equal(repository.status().encrypted, false);
  assert.equal((await openRepository(store)).id, repository.id);
  await assert.rejects(openRepository(store, { passphrase: 'x' }), withCode('REPO_NOT_ENCRYPTED'));
});

test('an empty place is no repository, and a repository is never made twice', async () => {
  await assert.rejects(openRepository(createMemoryStore()), withCode('REPO_NOT_INITIALISED'));
  await assert.rejects(
    createRepository(world.store, { encryption: 'none' }),
    withCode('REPO_ALREADY_INITIALISED'),
  );
  const store = createMemoryStore();
  const results = await Promise.allSettled(
    [1, 2, 3].map(() => createRepository(store, { encryption: 'none' })),
  );
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
  assert.ok(
    results.every((each) => each.status === 'fulfilled' || hasCode(each.reason, 'REPO_ALREADY_INITIALISED')),
  );
  assert.ok(await openRepository(store));
});

test('a creation that dies at any call leaves no repository or a whole one, and never blocks the place', async () => {
  for (const when of ['before', 'after'] as const) {
    for (let step = 1, made = false; !made; step += 1) {
      const store = createMemoryStore();
      const creation = createRepository(faultyStore(store, stopAt(step, when)), { encryption: 'none' });
      made = (await creation.catch(isStopped)) !== undefined;
      if (await isRepository(store)) await openRepository(store);
      else await createRepository(store, { encryption: 'none' });
      assert.ok(await isRepository(store), `call ${step}`);
      assert.ok(step < 20, 'a creation is a few calls');
    }
  }
});

function isStopped(error: unknown): undefined {
  assert.ok(error instanceof StoppedError, String(error));
}

async function isRepository(store: MemoryStore): Promise<boolean> {
  try {
    return Boolean(await probeRepository(store));
  } catch (error) {
    assert.ok(hasCode(error, 'REPO_NOT_INITIALISED'), String(error));
    return false;
  }
}

test('damage of header and key files is told from a wrong passphrase, byte by byte', async () => {
  const store = createMemoryStore();
  await createRepository(store, { encryption: 'none' });
  const files = (await Array.fromAsync(store.list(''))).filter(({ name }) => !name.startsWith('about/'));
  assert.equal(files.length, 2);
  for (const { name, size } of files) {
    for (let at = 0; at < size; at += 1) {
      const damaged = await copyOf(store, (each, bytes) =>
        each === name ? bytes.with(at, bytes[at]! ^ 0x11) : bytes,
      );
      await assert.rejects(openRepository(damaged), withCode('REPO_HEADER_DAMAGED'), `byte ${at} of ${name}`);
    }
    const cut = await copyOf(store, (each, bytes) => (each === name ? bytes.subarray(0, size / 2) : bytes));
    await assert.rejects(openRepository(cut), withCode('REPO_HEADER_DAMAGED'), name);
  }
});

test('specification and second reader lie in a new repository; an older one gets them when it is written to', async () => {
  const store = createMemoryStore();
  const { repository } = await createRepository(store, { encryption: 'none' });
  const about = await Array.fromAsync(store.list('about/'));
  assert.deepEqual(
    about.map(({ name }) => name),
    ['about/read_repository.py', 'about/repository.md'],
  );
  const text = Buffer.from(await store.getRange('about/repository.md', 0, about[1]!.size)).toString();
  assert.match(text, /^# Repository\n/);
  for (const { name } of about) await store.delete(name);
  await repository.describe();
  assert.deepEqual(await Array.fromAsync(store.list('about/')), about);
});

const rewritten = (change: object): Promise<MemoryStore> =>
  copyOf(world.store, (name, bytes) => {
    if (name !== 'hvlift.json') return bytes;
    const { checksum: _, ...value } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    return encodeChecked({ ...value, ...change });
  });

test('a header rewritten to turn encryption off opens nothing, also with the right passphrase', async () => {
  const store = await rewritten({ encryption: 'none' });
  await assert.rejects(openRepository(store, { passphrase: PASSPHRASE }), withCode('REPO_NOT_ENCRYPTED'));
  await assert.rejects(openRepository(store), withCode('REPO_HEADER_DAMAGED'));
  const moved = await rewritten({ created: '2020-01-01T00:00:00.000Z' });
  await assert.rejects(openRepository(moved, { passphrase: PASSPHRASE }), withCode('REPO_WRONG_PASSPHRASE'));
});

test('a newer format is refused with both versions', async () => {
  const store = await rewritten({ formatVersion: 2 });
  await assert.rejects(
    openRepository(store, { passphrase: PASSPHRASE }),
    (error) => hasCode(error, 'REPO_FORMAT_NEWER') && /format 2.*up to 1/.test(String(error)),
  );
});

/** The repository with other costs in the slot of its passphrase. */
function withCosts(costs: object): Promise<MemoryStore> {
  return copyOf(world.store, (name, bytes) => {
    const {
      checksum: _checksum,
      argon2id: _costs,
      ...value
    } = JSON.parse(name.startsWith('keys/') ? Buffer.from(bytes).toString() : '{}') as Record<
      string,
      unknown
    >;
    return value['kind'] === 'passphrase' ? encodeChecked({ ...value, ...costs }) : bytes;
  });
}

test('a key file that asks for a gigantic or impossible derivation is refused, not computed', async () => {
  const argon2id = { m: 65_536, t: 3, p: 4 };
  const scrypt = { N: 2 ** 17, r: 8, p: 1 };
  const wrong = [
    { scrypt: { ...scrypt, N: 2 ** 30 } },
    { scrypt: { ...scrypt, p: 0 } },
    { scrypt: { N: 2 ** 17 } },
    { argon2id: { ...argon2id, m: 2 ** 20 + 1 } },
    { argon2id: { ...argon2id, m: 31 } },
    { argon2id: { ...argon2id, t: 17 } },
    { argon2id: { ...argon2id, p: 2.5 } },
    { argon2id, scrypt },
    {},
  ];
  for (const costs of wrong) {
    const greedy = await withCosts(costs);
    await assert.rejects(
      openRepository(greedy, { passphrase: PASSPHRASE }),
      withCode('REPO_HEADER_DAMAGED'),
      JSON.stringify(costs),
    );
    assert.ok(
      await openRepository(greedy, { recoveryKey: world.recoveryKey }),
      'the other key still opens it',
    );
  }
});

test('a runtime without Argon2id makes slots with scrypt, and says what a slot with Argon2id needs', async () => {
  const { argon2 } = crypto;
  Object.assign(crypto, { argon2: undefined });
  try {
    await assert.rejects(
      openRepository(world.store, { passphrase: PASSPHRASE }),
      withCode('REPO_KDF_MISSING'),
    );
    const keyring = await openKeyring(await copyOf(world.store, (_name, bytes) => bytes), {
      recoveryKey: world.recoveryKey,
    });
    await keyring.add({ passphrase: 'another' }); // which opens it, to prove that it works
  } finally {
    Object.assign(crypto, { argon2 });
  }
});
