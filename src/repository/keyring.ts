/**
 * Who can open a repository: adding, removing and replacing key slots.
 *
 *   add        new slot, read back and tried ─► told to the user
 *   rotate     add, tell ─► and only then remove the old one: cut anywhere, at least one of the two opens the repository
 *   remove     never the last slot that is whole
 *
 * A slot only wraps the master key. Who once opened the repository may have kept that key, and no change here takes it back:
 * for that the data has to be copied into a new repository.
 */
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { repositoryFaults } from './faults.ts';
import type { HeaderFile } from './header.ts';
import { addKeySlot, listKeySlots, unwrapMasterKey, type KeySecret, type KeySlotInfo } from './key-slots.ts';
import { Lease } from './lease.ts';
import { formatRecoveryKey, newRecoveryKey } from './recovery-key.ts';

/** What the new slot is opened with; a recovery key is drawn here, and returned once. */
export type NewSecret = { readonly passphrase: string } | 'recovery-key';

export interface KeyringParts {
  readonly store: ObjectStore;
  readonly file: HeaderFile;
  readonly master: Uint8Array;
  /** The slot that was opened. */
  readonly slot: string;
  readonly now: () => Date;
}

export interface AddedKey {
  readonly slot: string;
  /** As it is to be printed. */
  readonly recoveryKey?: string;
}

export class Keyring {
  readonly #parts: KeyringParts;

  constructor(parts: KeyringParts) {
    this.#parts = parts;
  }

  /** The slot whose secret was given. */
  get opened(): string {
    return this.#parts.slot;
  }

  list(options: CallOptions = {}): Promise<KeySlotInfo[]> {
    return listKeySlots(this.#parts.store, this.#parts.file, options);
  }

  /** Returns once the new slot is durable and was opened by its secret. */
  async add(secret: NewSecret, { signal }: CallOptions = {}): Promise<AddedKey> {
    const { store, file, master, now } = this.#parts;
    const key = newRecoveryKey();
    const wrapped: KeySecret =
      secret === 'recovery-key' ? { kind: 'recovery', key } : { kind: 'passphrase', ...secret };
    const slot = await addKeySlot(store, file, master, wrapped, { created: now(), signal });
    await unwrapMasterKey(store, file, wrapped, { signal });
    return { slot, ...(secret === 'recovery-key' ? { recoveryKey: formatRecoveryKey(key) } : {}) };
  }

  /**
   * `slot` is an id or the beginning of one. Throws `REPO_KEY_SLOT_NOT_FOUND`, `REPO_KEY_SLOT_LAST`, and `REPO_VM_BUSY` while
   * another process removes one: two of them could else remove each the slot that the other leaves.
   */
  async remove(slot: string, options: CallOptions = {}): Promise<KeySlotInfo> {
    await using _lock = await Lease.acquire(this.#parts.store, 'locks/keys', options);
    const slots = await this.list(options);
    const [found, second] = slots.filter((each) => each.slot.startsWith(slot.toLowerCase()));
    if (!found || second) throw repositoryFaults.keySlotNotFound({ slot });
    const others = slots.filter((each) => each !== found && each.problem === undefined);
    if (others.length === 0) throw repositoryFaults.keySlotLast({ slot: found.slot });
    await this.#parts.store.delete(`keys/${found.slot}`, options);
    return found;
  }

  /**
   * Puts a new slot in the place of `slot`, or of the one that was opened. `told` has the new key where it is safe before the
   * old one goes: a recovery key that nobody has read opens nothing. What `add` and `remove` throw.
   */
  async rotate(
    secret: NewSecret,
    told: (added: AddedKey) => Promise<void>,
    { slot = this.opened, ...options }: CallOptions & { readonly slot?: string | undefined } = {},
  ): Promise<KeySlotInfo> {
    const known = (await this.list(options)).filter((each) => each.slot.startsWith(slot.toLowerCase()));
    if (known.length !== 1) throw repositoryFaults.keySlotNotFound({ slot });
    await told(await this.add(secret, options));
    return this.remove(known[0]!.slot, options);
  }
}
