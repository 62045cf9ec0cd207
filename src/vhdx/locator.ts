/**
 * The parent locator: which file a differencing disk stands on (MS-VHDX 2.6.2.6).
 *
 * Identity is `parent_linkage`, the parent's DataWriteGuid; paths are only hints where to look. While a child is being
 * merged, `parent_linkage2` holds the identity the parent gets, so that the chain opens before, during and after.
 */
import { NIL_GUID, normaliseGuid } from '../base/index.ts';
import type { ParentLocator } from '../chain/index.ts';
import { vhdxFaults } from './faults.ts';
import {
  LOCATOR_ENTRIES_MAX,
  PARENT_LOCATOR_TYPE,
  parentLocatorEntry,
  parentLocatorHeader,
} from './format.ts';

const KEYS = {
  parentLinkage: 'parent_linkage',
  parentLinkage2: 'parent_linkage2',
  relativePath: 'relative_path',
  volumePath: 'volume_path',
  absolutePath: 'absolute_win32_path',
} as const;

export function parseLocator(item: Uint8Array): ParentLocator {
  const pairs = pairsOf(item);
  const text = (key: string): string | undefined => {
    const pair = pairs.get(key);
    return pair && utf16(item.subarray(pair.valueAt, pair.valueAt + pair.valueLength));
  };
  const linkage = normaliseGuid(text(KEYS.parentLinkage) ?? '');
  if (linkage === undefined) throw vhdxFaults.locatorMalformed({ reason: 'parent_linkage is not a GUID' });
  const linkage2 = normaliseGuid(text(KEYS.parentLinkage2) ?? '');
  const paths = Object.fromEntries(
    (['relativePath', 'volumePath', 'absolutePath'] as const).flatMap((name) => {
      const value = text(KEYS[name]);
      return value ? [[name, value]] : [];
    }),
  );
  // All zeros is what Windows writes when no merge is under way.
  const merging = linkage2 !== undefined && linkage2 !== NIL_GUID;
  return { parentLinkage: linkage, ...(merging ? { parentLinkage2: linkage2 } : {}), ...paths };
}

interface Pair {
  readonly valueAt: number;
  readonly valueLength: number;
}

function pairsOf(item: Uint8Array): Map<string, Pair> {
  if (item.length < parentLocatorHeader.size)
    throw vhdxFaults.locatorMalformed({ reason: 'it is too short' });
  const { locatorType, keyValueCount: count } = parentLocatorHeader.read(item);
  if (locatorType !== PARENT_LOCATOR_TYPE) throw vhdxFaults.locatorType({ type: locatorType });
  const tableEnd = parentLocatorHeader.size + count * parentLocatorEntry.size;
  if (count > LOCATOR_ENTRIES_MAX || tableEnd > item.length) {
    throw vhdxFaults.locatorMalformed({ reason: `${count} keys do not fit` });
  }
  const pairs = new Map<string, Pair>();
  for (let at = parentLocatorHeader.size; at < tableEnd; at += parentLocatorEntry.size) {
    const entry = parentLocatorEntry.read(item, at);
    checkText(item, tableEnd, entry.keyOffset, entry.keyLength);
    checkText(item, tableEnd, entry.valueOffset, entry.valueLength);
    const key = utf16(item.subarray(entry.keyOffset, entry.keyOffset + entry.keyLength));
    if (pairs.has(key)) throw vhdxFaults.locatorMalformed({ reason: `the key ${key} is there twice` });
    pairs.set(key, { valueAt: entry.valueOffset, valueLength: entry.valueLength });
  }
  return pairs;
}

function checkText(item: Uint8Array, tableEnd: number, offset: number, length: number): void {
  if (length === 0 || length % 2 !== 0 || offset < tableEnd || offset + length > item.length) {
    throw vhdxFaults.locatorMalformed({ reason: `a text at ${offset} of ${length} bytes` });
  }
}

/** Where in the item the value of `parent_linkage2` lies, when it has the length of a GUID in braces. */
export function linkage2Place(item: Uint8Array): number | undefined {
  const pair = pairsOf(item).get(KEYS.parentLinkage2);
  return pair?.valueLength === linkageText(NIL_GUID).length ? pair.valueAt : undefined;
}

/** A GUID as locators hold it: in braces, lower case, UTF-16LE. */
export function linkageText(guid: string): Uint8Array {
  return Buffer.from(`{${guid}}`, 'utf16le');
}

/** The item for `locator`, with the keys in the order Windows writes them. */
export function locatorBytes(locator: ParentLocator): Uint8Array {
  const pairs = [
    [KEYS.parentLinkage, linkageText(locator.parentLinkage)],
    [KEYS.parentLinkage2, linkageText(locator.parentLinkage2 ?? NIL_GUID)],
    [KEYS.relativePath, Buffer.from(locator.relativePath ?? '', 'utf16le')],
    [KEYS.volumePath, Buffer.from(locator.volumePath ?? '', 'utf16le')],
    [KEYS.absolutePath, Buffer.from(locator.absolutePath ?? '', 'utf16le')],
  ] as const;
  const present = pairs
    .filter(([, value]) => value.length > 0)
    .map(([key, value]) => [Buffer.from(key, 'utf16le'), value] as const);
  const tableEnd = parentLocatorHeader.size + present.length * parentLocatorEntry.size;
  const bytes = new Uint8Array(present.reduce((sum, [k, v]) => sum + k.length + v.length, tableEnd));
  parentLocatorHeader.write(bytes, { locatorType: PARENT_LOCATOR_TYPE, keyValueCount: present.length });
  let at = tableEnd;
  present.forEach(([key, value], index) => {
    const entry = {
      keyOffset: at,
      valueOffset: at + key.length,
      keyLength: key.length,
      valueLength: value.length,
    };
    parentLocatorEntry.write(bytes, entry, parentLocatorHeader.size + index * parentLocatorEntry.size);
    bytes.set(key, entry.keyOffset);
    bytes.set(value, entry.valueOffset);
    at = entry.valueOffset + value.length;
  });
  return bytes;
}

/** True when a file with this DataWriteGuid is the parent meant. */
export function isParent(locator: ParentLocator, dataWriteGuid: string): boolean {
  return dataWriteGuid === locator.parentLinkage || dataWriteGuid === locator.parentLinkage2;
}

function utf16(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf16le');
}
