/**
 * Places where an object was found damaged, so that the damage is repaired by whoever still has the content.
 *
 *   verify finds damage ─► the place is quarantined ─► writers take the object for unknown
 *        ─► the next run that reads this content stores it anew ─► every restore point that needs it is whole again
 *
 * What is quarantined is a place, not an id: once the object stands in another pack as well, that one is read. A quarantined
 * place is still read where there is no other, since somebody may have brought the file back from a copy.
 */
import type { CallOptions } from '../disk/index.ts';
import { hexOf } from './format.ts';
import type { ObjectPlace } from './segment-writer.ts';
import { StateRecords, type StateParts } from './state-records.ts';

/** Without a pack: an object that a map names and no pack has. */
export interface QuarantinedObject {
  readonly id: string;
  readonly pack?: string;
  readonly offset?: number;
}

/** A pack with more damaged objects than this is quarantined as a whole, so that the list stays small. */
const OBJECTS_OF_PACK_MAX = 1000;

export interface QuarantineChange {
  readonly damaged: readonly QuarantinedObject[];
  readonly lostPacks: Iterable<string>;
  /** Was found whole, or is of no use any more. */
  readonly isReleased: (object: QuarantinedObject) => boolean;
  readonly isPackReleased: (pack: string) => boolean;
}

export class Quarantine {
  readonly #records: StateRecords;
  #objects = new Map<string, QuarantinedObject>();
  #packs = new Set<string>();

  constructor(parts: StateParts) {
    this.#records = new StateRecords(parts, 'quarantine');
  }

  get isEmpty(): boolean {
    return this.#objects.size === 0 && this.#packs.size === 0;
  }

  get objects(): readonly QuarantinedObject[] {
    return [...this.#objects.values()];
  }

  get packs(): readonly string[] {
    return [...this.#packs];
  }

  has({ packId, offset }: Pick<ObjectPlace, 'packId' | 'offset'>): boolean {
    if (this.isEmpty) return false;
    const pack = hexOf(packId);
    return this.#packs.has(pack) || this.#objects.has(`${pack} ${offset}`);
  }

  hasPack(packId: Uint8Array): boolean {
    return this.#packs.has(hexOf(packId));
  }

  /** Learns what others quarantined since. */
  async load(options: CallOptions = {}): Promise<void> {
    const records = await this.#records.load(options);
    if (!records) return;
    this.#objects = new Map(records.flatMap(objectsOf).map((object) => [keyOf(object), object]));
    this.#packs = new Set(records.flatMap(packsOf));
  }

  /** In memory at once; durable when it resolves. What the store refuses is thrown. */
  async change(change: QuarantineChange, options: CallOptions = {}): Promise<void> {
    const before = this.#fingerprint();
    for (const [key, object] of this.#objects) if (change.isReleased(object)) this.#objects.delete(key);
    for (const pack of this.#packs) if (change.isPackReleased(pack)) this.#packs.delete(pack);
    for (const object of change.damaged) this.#objects.set(keyOf(object), object);
    for (const pack of change.lostPacks) this.#packs.add(pack);
    this.#joinPacks();
    if (this.#fingerprint() === before) return;
    await this.#records.replace({ objects: this.objects, packs: this.packs }, options);
  }

  check(name: string, options: CallOptions = {}): Promise<void> {
    return this.#records.check(name, options);
  }

  #fingerprint(): string {
    return [...this.#objects.keys(), ...this.#packs].toSorted(byText).join();
  }

  /** What a pack of the list holds need not be on it too. */
  #joinPacks(): void {
    const counts = new Map<string, number>();
    for (const { pack } of this.#objects.values())
      if (pack !== undefined) counts.set(pack, (counts.get(pack) ?? 0) + 1);
    for (const [pack, count] of counts) if (count > OBJECTS_OF_PACK_MAX) this.#packs.add(pack);
    for (const [key, { pack }] of this.#objects)
      if (pack !== undefined && this.#packs.has(pack)) this.#objects.delete(key);
  }
}

function keyOf({ id, pack, offset }: QuarantinedObject): string {
  return pack === undefined ? id : `${pack} ${offset}`;
}

function objectsOf({ objects }: Record<string, unknown>): QuarantinedObject[] {
  return Array.isArray(objects) ? (objects as QuarantinedObject[]) : [];
}

function packsOf({ packs }: Record<string, unknown>): string[] {
  return Array.isArray(packs) ? packs.map(String) : [];
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
