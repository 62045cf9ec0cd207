/**
 * Pages of a map: a leaf holds 256 slots, a node 256 children. What holds only zeros has no page at all.
 *
 * Pages come from disk, so nothing in them is believed: every count and cell is checked before it is used, and a page must
 * end exactly where its content ends.
 */
import { repositoryFaults } from './faults.ts';
import {
  CELLS,
  FAN_OUT,
  ID_BYTES,
  LEAF_SLOTS,
  extentHeader,
  leafHeader,
  nodeHeader,
  patchHeader,
} from './format.ts';
import type { SlotEntry, SlotExtent } from './slot.ts';

const TYPES = { zero: 0, chunk: 1, patched: 2 } as const;

/** `level` counts from 0, the leaves. */
export type Leaf = { readonly level: 0; readonly slots: SlotEntry[] };
export type Node = { readonly level: number; readonly children: (string | null)[] };

/** The page, or null when every slot is zeros. */
export function encodeLeaf(slots: readonly SlotEntry[]): Buffer | null {
  if (slots.every((slot) => slot === null)) return null;
  const header = Buffer.alloc(leafHeader.size);
  const typesAt = leafHeader.fields.types.offset;
  const parts: Uint8Array[] = [header];
  slots.forEach((slot, index) => {
    if (slot === null) return;
    header[typesAt + (index >>> 2)]! |= TYPES[slot.kind] << (2 * (index & 3));
    parts.push(...(slot.kind === 'chunk' ? [idBytes(slot.id)] : encodePatch(slot)));
  });
  return Buffer.concat(parts);
}

function encodePatch(slot: Extract<SlotEntry, { kind: 'patched' }>): Uint8Array[] {
  const parts: Uint8Array[] = [
    Uint8Array.of(slot.base === null ? TYPES.zero : TYPES.chunk, slot.extents.length),
  ];
  if (slot.base !== null) parts.push(idBytes(slot.base));
  for (const extent of slot.extents) {
    parts.push(Uint8Array.of(extent.cell, extent.count, extent.id === null ? 0 : 1, extent.sourceCell));
    if (extent.id !== null) parts.push(idBytes(extent.id));
  }
  return parts;
}

export function encodeNode(level: number, children: readonly (string | null)[]): Buffer | null {
  if (children.every((child) => child === null)) return null;
  const header = Buffer.alloc(nodeHeader.size);
  nodeHeader.write(header, { level });
  const presentAt = nodeHeader.fields.present.offset;
  const parts: Uint8Array[] = [header];
  children.forEach((child, index) => {
    if (child === null) return;
    header[presentAt + (index >>> 3)]! |= 1 << (index & 7);
    parts.push(idBytes(child));
  });
  return Buffer.concat(parts);
}

/** Throws `REPO_PAGE_DAMAGED`. */
export function decodeLeaf(bytes: Uint8Array): Leaf {
  const cursor = new Cursor(bytes, 'leaf');
  const header = leafHeader.read(cursor.take(leafHeader.size));
  cursor.check(header.level === 0, 'its level is not 0');
  const slots = Array.from({ length: LEAF_SLOTS }, (_, index): SlotEntry => {
    const type = (header.types[index >>> 2]! >>> (2 * (index & 3))) & 3;
    if (type === TYPES.zero) return null;
    if (type === TYPES.chunk) return { kind: 'chunk', id: cursor.id() };
    cursor.check(type === TYPES.patched, 'a slot has an unknown form');
    return decodePatch(cursor);
  });
  cursor.end();
  return { level: 0, slots };
}

function decodePatch(cursor: Cursor): SlotEntry {
  const header = patchHeader.read(cursor.take(patchHeader.size));
  cursor.check(header.base <= TYPES.chunk, 'a slot has an unknown base');
  const base = header.base === TYPES.chunk ? cursor.id() : null;
  const extents: SlotExtent[] = [];
  let reached = 0;
  for (let i = 0; i < header.extentCount; i += 1) {
    const extent = decodeExtent(cursor);
    cursor.check(extent.cell >= reached, 'extents of a slot overlap');
    reached = extent.cell + extent.count;
    extents.push(extent);
  }
  return { kind: 'patched', base, extents };
}

function decodeExtent(cursor: Cursor): SlotExtent {
  const { cell, count, source, sourceCell } = extentHeader.read(cursor.take(extentHeader.size));
  const inside = count > 0 && cell + count <= CELLS && sourceCell + count <= CELLS && source <= 1;
  cursor.check(inside, 'an extent leaves its slot');
  return { cell, count, id: source === 1 ? cursor.id() : null, sourceCell };
}

/** Throws `REPO_PAGE_DAMAGED`, also when the page is of another level than the tree has there. */
export function decodeNode(bytes: Uint8Array, level: number): Node {
  const cursor = new Cursor(bytes, 'node');
  const header = nodeHeader.read(cursor.take(nodeHeader.size));
  cursor.check(header.level === level, `its level is ${header.level}, not ${level}`);
  const children = Array.from({ length: FAN_OUT }, (_, index) =>
    (header.present[index >>> 3]! >>> (index & 7)) & 1 ? cursor.id() : null,
  );
  cursor.end();
  return { level, children };
}

class Cursor {
  readonly #bytes: Buffer;
  readonly #kind: string;
  #at = 0;

  constructor(bytes: Uint8Array, kind: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#kind = kind;
  }

  take(length: number): Uint8Array {
    this.check(this.#at + length <= this.#bytes.length, 'it is cut short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  id(): string {
    this.take(ID_BYTES);
    return this.#bytes.toString('hex', this.#at - ID_BYTES, this.#at);
  }

  end(): void {
    this.check(this.#at === this.#bytes.length, 'it is longer than its content');
  }

  check(condition: boolean, problem: string): void {
    if (!condition) throw repositoryFaults.pageDamaged({ kind: this.#kind, problem });
  }
}

function idBytes(id: string): Buffer {
  return Buffer.from(id, 'hex');
}
