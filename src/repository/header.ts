/** `hvlift.json`: what a repository is, readable by anyone. The wrapped keys are bound to its exact bytes. */
import { createHash, randomBytes } from 'node:crypto';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { canonicalJson, parseObject } from './canonical-json.ts';
import { repositoryFaults } from './faults.ts';
import { CELL_BYTES, FAN_OUT, FORMAT_VERSION, LEAF_SLOTS, SLOT_BYTES } from './format.ts';

export const HEADER_NAME = 'hvlift.json';
const FILE_BYTES_MAX = 64 * 1024;

export interface RepositoryHeader {
  readonly format: 'hvlift-repository';
  readonly formatVersion: number;
  /** 32 hexadecimal digits. */
  readonly repositoryId: string;
  readonly created: string;
  readonly encryption: 'aes-256-gcm' | 'none';
}

/** Header with the exact bytes it stands in. */
export interface HeaderFile {
  readonly header: RepositoryHeader;
  readonly bytes: Uint8Array;
}

export function newHeader(encryption: RepositoryHeader['encryption'], created: Date): HeaderFile {
  const header: RepositoryHeader = {
    format: 'hvlift-repository',
    formatVersion: FORMAT_VERSION,
    repositoryId: randomBytes(16).toString('hex'),
    created: created.toISOString(),
    encryption,
  };
  const algorithms = {
    id: 'hmac-sha-256',
    compression: 'zstd',
    subKeys: 'hkdf-sha-256',
    keySlots: 'argon2id, scrypt',
  };
  const map = { slotBytes: SLOT_BYTES, cellBytes: CELL_BYTES, leafSlots: LEAF_SLOTS, fanOut: FAN_OUT };
  return { header, bytes: encodeChecked({ ...header, algorithms, map }) };
}

/** Throws `REPO_NOT_INITIALISED`, `REPO_HEADER_DAMAGED`, `REPO_FORMAT_NEWER`. */
export async function readRepositoryHeader(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<HeaderFile> {
  const { location } = store;
  const file = await readChecked(store, HEADER_NAME, options);
  if (!file) throw repositoryFaults.notInitialised({ location });
  const header = file.value as unknown as RepositoryHeader;
  if (header.formatVersion > FORMAT_VERSION) {
    throw repositoryFaults.formatNewer({ location, found: header.formatVersion, known: FORMAT_VERSION });
  }
  const valid =
    header.format === 'hvlift-repository' &&
    header.formatVersion === FORMAT_VERSION &&
    /^[0-9a-f]{32}$/.test(header.repositoryId) &&
    ['aes-256-gcm', 'none'].includes(header.encryption);
  if (!valid)
    throw repositoryFaults.headerDamaged({
      name: HEADER_NAME,
      location,
      problem: 'it holds impossible values',
    });
  return { header, bytes: file.bytes };
}

/** Canonical JSON with a checksum of itself: so that damage is not mistaken for a wrong passphrase. */
export function encodeChecked(value: object): Uint8Array {
  return Buffer.from(canonicalJson({ ...value, checksum: checksumOf(value) }));
}

/** Undefined when there is no such file. Throws `REPO_HEADER_DAMAGED`. */
export async function readChecked(
  store: ObjectStore,
  name: string,
  options: CallOptions = {},
): Promise<{ value: Record<string, unknown>; bytes: Uint8Array } | undefined> {
  const found = await store.stat(name, options);
  if (!found) return undefined;
  const damaged = (problem: string): Error =>
    repositoryFaults.headerDamaged({ name, location: store.location, problem });
  if (found.size > FILE_BYTES_MAX) throw damaged('its size is impossible');
  const bytes = await store.getRange(name, 0, found.size, options);
  const parsed = parseObject(Buffer.from(bytes).toString());
  if (!parsed) throw damaged('it holds no JSON object');
  const { checksum, ...value } = parsed;
  if (checksum !== checksumOf(value)) throw damaged('its checksum is wrong');
  return { value, bytes };
}

function checksumOf(value: object): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}
