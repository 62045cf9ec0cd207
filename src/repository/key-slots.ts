/**
 * Key slots: each wraps the one master key under another secret, so that a passphrase can be changed, and a recovery key can
 * exist, without touching a byte of data.
 *
 *   passphrase ──Argon2id──► wrapping key        recovery key ──HKDF──► wrapping key        clear: no wrapping
 *
 * Wrapping is AES-256-GCM with the SHA-256 of `hvlift.json` as associated data: a store that rewrites the header, to turn
 * encryption off for instance, makes every slot fail.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { repositoryFaults } from './faults.ts';
import { NONCE_BYTES, TAG_BYTES } from './format.ts';
import { encodeChecked, readChecked, type HeaderFile, type RepositoryHeader } from './header.ts';
import { MASTER_KEY_BYTES } from './keys.ts';
import { costsToday, isAffordable, passphraseKey, type PassphraseCosts } from './passphrase-key.ts';
import { parseRecoveryKey } from './recovery-key.ts';

export type KeySecret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'recovery'; readonly key: Uint8Array }
  | { readonly kind: 'clear' };

interface KeySlot extends PassphraseCosts {
  readonly slot: string;
  readonly repositoryId: string;
  readonly kind: KeySecret['kind'];
  /** ISO 8601; absent in slots of the first versions. */
  readonly created?: string;
  readonly salt?: string;
  readonly nonce?: string;
  /** Wrapped key and tag; in a clear slot the key itself. */
  readonly key: string;
}

/** What can be told of a slot without its secret. */
export interface KeySlotInfo {
  /** 16 hexadecimal digits: the last part of the file's name. */
  readonly slot: string;
  /** Absent when the file is damaged. */
  readonly kind?: KeySecret['kind'];
  /** ISO 8601; absent when it is not known. */
  readonly created?: string;
  /** Why nobody can use it. */
  readonly problem?: string;
}

/** Returns the id of the new slot; it is durable. */
export async function addKeySlot(
  store: ObjectStore,
  file: HeaderFile,
  master: Uint8Array,
  secret: KeySecret,
  { created, signal }: CallOptions & { readonly created: Date },
): Promise<string> {
  const slot = randomBytes(8).toString('hex');
  const { repositoryId } = file.header;
  const common = { slot, repositoryId, kind: secret.kind, created: created.toISOString() };
  const content = secret.kind === 'clear' ? { key: hex(master) } : await wrap(master, file, secret);
  await store.putNew(`keys/${slot}`, encodeChecked({ ...common, ...content }), { signal });
  return slot;
}

/** Throws `REPO_HEADER_DAMAGED` unless the file is whole and belongs under its name. */
export async function checkKeySlot(
  store: ObjectStore,
  header: RepositoryHeader,
  name: string,
  options: CallOptions = {},
): Promise<void> {
  await readSlot(store, { header }, name, options);
}

/** Every slot of the repository, in the order of their names; needs no secret. */
export async function listKeySlots(
  store: ObjectStore,
  file: HeaderFile,
  options: CallOptions = {},
): Promise<KeySlotInfo[]> {
  const slots: KeySlotInfo[] = [];
  for await (const { name } of store.list('keys/', options)) {
    const info = await slotInfo(store, file, name, options);
    if (info) slots.push(info);
  }
  return slots;
}

/**
 * The master key, and the slot it came from. Throws `REPO_WRONG_PASSPHRASE`, `REPO_HEADER_DAMAGED` when the slots that could
 * fit are damaged.
 */
export async function unwrapMasterKey(
  store: ObjectStore,
  file: HeaderFile,
  secret: KeySecret,
  options: CallOptions = {},
): Promise<{ readonly master: Uint8Array; readonly slot: string }> {
  let damage: unknown;
  for await (const { name } of store.list('keys/', options)) {
    try {
      const slot = await readSlot(store, file, name, options);
      if (slot?.kind !== secret.kind) continue;
      if (slot.kind === 'passphrase' && !isAffordable(slot))
        throw damagedSlot(store, name, 'it holds impossible values');
      const master = await unwrap(slot, file, secret);
      if (master) return { master, slot: slot.slot };
    } catch (error) {
      damage ??= error;
    }
  }
  if (damage !== undefined) throw damage;
  throw await noSlotFits(store, file, secret, options);
}

async function noSlotFits(
  store: ObjectStore,
  file: HeaderFile,
  { kind }: KeySecret,
  options: CallOptions,
): Promise<Error> {
  const { location } = store;
  if (kind === 'clear')
    return repositoryFaults.headerDamaged({ name: 'keys', location, problem: 'the key file is missing' });
  const slots = (await listKeySlots(store, file, options)).map(slotText).join(', ') || 'none';
  const secret = kind === 'passphrase' ? 'passphrase' : 'recovery key';
  return repositoryFaults.wrongPassphrase({ location, secret, slots });
}

/** `recovery key 0123456789abcdef of 2026-11-23`. */
function slotText({ slot, kind, created, problem }: KeySlotInfo): string {
  if (problem !== undefined) return `${slot} (damaged)`;
  const of = created === undefined ? '' : ` of ${created.slice(0, 10)}`;
  return `${kind === 'recovery' ? 'recovery key' : kind} ${slot}${of}`;
}

/** Undefined for a slot of another repository: a creation that was interrupted leaves those. */
async function readSlot(
  store: ObjectStore,
  { header }: Pick<HeaderFile, 'header'>,
  name: string,
  options: CallOptions,
): Promise<KeySlot | undefined> {
  const slot = (await readChecked(store, name, options))?.value as unknown as KeySlot | undefined;
  if (slot?.repositoryId !== header.repositoryId) return undefined;
  if (name !== `keys/${slot.slot}`) throw damagedSlot(store, name, 'it is another slot');
  return slot;
}

async function slotInfo(
  store: ObjectStore,
  file: HeaderFile,
  name: string,
  options: CallOptions,
): Promise<KeySlotInfo | undefined> {
  const slot = name.slice('keys/'.length);
  try {
    const found = await readSlot(store, file, name, options);
    if (!found) return undefined;
    const created = typeof found.created === 'string' ? { created: found.created } : {};
    return { slot, kind: found.kind, ...created };
  } catch (error) {
    if (!hasCode(error, 'REPO_HEADER_DAMAGED')) throw error;
    return { slot, problem: (error as Error).message };
  }
}

export function secretOf(given: { passphrase?: string; recoveryKey?: string }): KeySecret {
  if (given.passphrase !== undefined) return { kind: 'passphrase', passphrase: given.passphrase };
  if (given.recoveryKey !== undefined) return { kind: 'recovery', key: parseRecoveryKey(given.recoveryKey) };
  return { kind: 'clear' };
}

type WrappingSecret = Exclude<KeySecret, { kind: 'clear' }>;

async function wrap(master: Uint8Array, file: HeaderFile, secret: WrappingSecret): Promise<object> {
  const salt = randomBytes(32);
  const nonce = randomBytes(NONCE_BYTES);
  const costs = secret.kind === 'passphrase' ? costsToday() : {};
  const cipher = createCipheriv('aes-256-gcm', await wrappingKey(secret, salt, costs), nonce);
  cipher.setAAD(bindingOf(file));
  const key = Buffer.concat([cipher.update(master), cipher.final(), cipher.getAuthTag()]);
  return { ...costs, salt: hex(salt), nonce: hex(nonce), key: hex(key) };
}

function damagedSlot({ location }: ObjectStore, name: string, problem: string): Error {
  return repositoryFaults.headerDamaged({ name, location, problem });
}

/** Undefined when the secret is not the slot's. */
async function unwrap(slot: KeySlot, file: HeaderFile, secret: KeySecret): Promise<Uint8Array | undefined> {
  const key = Buffer.from(slot.key, 'hex');
  if (secret.kind === 'clear') return key.length === MASTER_KEY_BYTES ? key : undefined;
  if (key.length !== MASTER_KEY_BYTES + TAG_BYTES) return undefined;
  const wrapping = await wrappingKey(secret, Buffer.from(slot.salt ?? '', 'hex'), slot);
  const nonce = Buffer.from(slot.nonce ?? '', 'hex');
  if (nonce.length !== NONCE_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', wrapping, nonce);
  decipher.setAAD(bindingOf(file));
  decipher.setAuthTag(key.subarray(MASTER_KEY_BYTES));
  const master = decipher.update(key.subarray(0, MASTER_KEY_BYTES));
  try {
    decipher.final();
    return master;
  } catch {
    return undefined;
  }
}

function wrappingKey(secret: WrappingSecret, salt: Uint8Array, costs: PassphraseCosts): Promise<Uint8Array> {
  if (secret.kind === 'passphrase') return passphraseKey(secret.passphrase, salt, costs);
  return Promise.resolve(new Uint8Array(hkdfSync('sha256', secret.key, salt, 'hvlift v1 recovery', 32)));
}

function bindingOf({ bytes }: HeaderFile): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
