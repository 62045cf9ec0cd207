/**
 * What a power cut at any moment leaves of a folder.
 *
 *   operations ─► the first n of them, for every n ─► durable: what was synced ─┐
 *                                                     the rest: kept or lost ───┴─► files by their names
 *
 * Bytes that were not synced are there, not there, or there in some sectors of 512 bytes; the file is as long as it was at some
 * moment since. Names that were not synced are there or not, each for itself, whatever came first; a file may so have its name
 * and none of its bytes. Of a folder whose own name is lost, everything below is lost.
 *
 * `.incoming` is left out: what lies there has no name that a reader knows.
 */
import { INCOMING } from './incoming.ts';
import {
  ROOT,
  setName,
  written,
  type FileNode,
  type FileOperation,
  type Naming,
  type NodeId,
  type Note,
  type VolatileFiles,
} from './volatile-files.fixture.ts';

type Write = Extract<FileOperation, { kind: 'write' }>;

/** What becomes of one thing that was not synced. */
interface Losses {
  readonly label: string;
  readonly keepsName: (naming: Naming) => boolean;
  /** Of a file: which of its sectors that were written are there. */
  readonly keepsSector: () => boolean;
}

const SECTOR = 512;
const KEEPS_ALL = 'nothing is lost';
const always = (): boolean => true;
const never = (): boolean => false;

/** Each is tried after every operation; those by chance as often as they are named. */
function lossesOf(random: () => number): Losses[] {
  const half = (): boolean => random() < 0.5;
  const isNew = ({ node }: Naming): boolean => node !== undefined;
  return [
    { label: KEEPS_ALL, keepsName: always, keepsSector: always },
    { label: 'all is lost', keepsName: never, keepsSector: never },
    { label: 'names are there, bytes are not', keepsName: always, keepsSector: never },
    { label: 'names are there, bytes are torn', keepsName: always, keepsSector: half },
    { label: 'new names are there, removals are not', keepsName: isNew, keepsSector: always },
    { label: 'removals are there, new names are not', keepsName: (n) => !isNew(n), keepsSector: always },
    { label: 'some names are there, bytes are torn', keepsName: half, keepsSector: half },
    { label: 'some names are there, and all bytes', keepsName: half, keepsSector: always },
  ];
}

export interface PowerCut {
  readonly label: string;
  /** By their paths below the root. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Equal for cuts that leave the same files. */
  readonly key: string;
  /** What the store had said of each object. */
  readonly told: ReadonlyMap<string, Note['now']>;
}

/** Cuts after each operation from number `from` on that is neither a sync nor a note. */
export function* powerCuts(
  { nodes }: VolatileFiles,
  operations: readonly FileOperation[],
  { from, random }: { readonly from: number; readonly random: () => number },
): Generator<PowerCut> {
  const disk = new CutDisk(nodes);
  const losses = lossesOf(random);
  for (const [index, operation] of operations.entries()) {
    disk.do(operation);
    if (index < from || operation.kind === 'note' || operation.kind === 'sync') continue;
    for (const each of losses) {
      const label = `cut after ${index - from + 1} operations (${operation.label}), ${each.label}`;
      yield { label, told: disk.told, ...disk.cut(each) };
    }
  }
}

/** Removals that may be undone: a file system writes them out within seconds. */
const HELD_BACK_MAX = 3;
/** Of the states with one undone, which there are the most of, one in so many is given. */
const HELD_BACK_EVERY = 5;

/**
 * The cuts, and after those that lose nothing the same with one of the last removals in some areas undone, although it was synced:
 * servers that cannot sync a folder hold removals back.
 */
export function* withHeldBack(cuts: Iterable<PowerCut>, areas: RegExp): Generator<PowerCut> {
  const known = new Map<string, Uint8Array>();
  let number = 0;
  for (const cut of cuts) {
    yield cut;
    if (!cut.label.endsWith(KEEPS_ALL)) continue;
    for (const [object, now] of cut.told) if (typeof now !== 'string') known.set(object, now);
    const gone = [...cut.told].filter(([object, now]) => now === 'gone' && areas.test(object));
    for (const [object] of gone.slice(-HELD_BACK_MAX)) {
      const bytes = known.get(object);
      if (bytes && (number += 1) % HELD_BACK_EVERY === 0) yield undone(cut, object, bytes);
    }
  }
}

function undone(cut: PowerCut, object: string, bytes: Uint8Array): PowerCut {
  const told = new Map(cut.told);
  told.delete(object);
  const files = new Map(cut.files).set(object, bytes);
  return { label: `${cut.label}, ${object} is back`, key: `${cut.key}\n+ ${object}`, told, files };
}

/** What of `files` the store said is not so; undefined when all is. */
export function brokenPromise({ files, told }: PowerCut): string | undefined {
  for (const [object, now] of told) {
    const bytes = files.get(object);
    if (now === 'gone' && bytes) return `${object} was removed, and is back`;
    if (typeof now === 'string') continue;
    if (!bytes) return `${object} was stored, and is not there`;
    if (!isSame(bytes, now)) return `${object} was stored, and is not whole`;
  }
  return undefined;
}

/** Arrays that were found to be the same. */
const same = new WeakMap<Uint8Array, Uint8Array>();

function isSame(bytes: Uint8Array, others: Uint8Array): boolean {
  if (same.get(bytes) === others) return true;
  if (Buffer.compare(bytes, others) !== 0) return false;
  same.set(bytes, others);
  return true;
}

class CutDisk {
  readonly told = new Map<string, Note['now']>();
  readonly #nodes: readonly FileNode[];
  readonly #incoming: NodeId | undefined;
  /** By node: what was synced. A name leads to a node; of a folder, the names in it. */
  readonly #names: Map<string, NodeId>[];
  readonly #bytes: Uint8Array[];
  readonly #pendingNames: (readonly Naming[])[] = [];
  readonly #pendingWrites = new Map<NodeId, Write[]>();
  /** Changes with each sync of a file, so that what is durable need not be looked at to be told apart. */
  readonly #versions: number[];

  constructor(nodes: readonly FileNode[]) {
    this.#nodes = nodes;
    this.#names = nodes.map(() => new Map<string, NodeId>());
    this.#bytes = nodes.map(() => new Uint8Array(0));
    this.#versions = nodes.map(() => 0);
    const root = nodes[ROOT]!;
    this.#incoming = root.kind === 'folder' ? root.entries.get(INCOMING) : undefined;
  }

  do(operation: FileOperation): void {
    if (operation.kind === 'note') this.#note(operation.note);
    if (operation.kind === 'name') this.#name(operation.names);
    if (operation.kind === 'sync') this.#sync(operation.node);
    if (operation.kind !== 'write') return;
    const writes = this.#pendingWrites.get(operation.node);
    if (writes) writes.push(operation);
    else this.#pendingWrites.set(operation.node, [operation]);
  }

  cut(losses: Losses): Pick<PowerCut, 'files' | 'key'> {
    const names = this.#namesAfter(losses);
    const files = new Map<string, Uint8Array>();
    const key: string[] = [];
    const visit = (folder: NodeId, path: string): void => {
      for (const [name, node] of names.get(folder) ?? this.#names[folder]!) {
        const below = `${path}${name}`;
        if (this.#nodes[node]!.kind === 'folder') visit(node, `${below}/`);
        else {
          const { bytes, version } = this.#fileAfter(node, losses);
          files.set(below, bytes);
          key.push(`${below} ${version}`);
        }
      }
    };
    visit(ROOT, '');
    return { files, key: key.sort().join('\n') };
  }

  /** In the order of what was said last. */
  #note({ object, now }: Note): void {
    this.told.delete(object);
    this.told.set(object, now);
  }

  #name(names: readonly Naming[]): void {
    const known = names.filter(({ folder, node }) => folder !== this.#incoming && node !== this.#incoming);
    if (known.length > 0) this.#pendingNames.push(known);
  }

  #sync(node: NodeId): void {
    for (const { offset, bytes } of this.#pendingWrites.get(node) ?? []) {
      this.#bytes[node] = written(this.#bytes[node]!, offset, bytes);
      this.#versions[node]! += 1;
    }
    this.#pendingWrites.delete(node);
    for (let index = 0; index < this.#pendingNames.length; index += 1) {
      const names = this.#pendingNames[index]!;
      if (!names.some(({ folder }) => folder === node)) continue;
      for (const each of names) setName(this.#names[each.folder]!, each.name, each.node);
      this.#pendingNames.splice(index, 1);
      index -= 1;
    }
  }

  #namesAfter({ keepsName }: Losses): Map<NodeId, Map<string, NodeId>> {
    const changed = new Map<NodeId, Map<string, NodeId>>();
    for (const names of this.#pendingNames) {
      if (!keepsName(names.at(-1)!)) continue;
      for (const { folder, name, node } of names) {
        const entries = changed.get(folder) ?? new Map(this.#names[folder]);
        changed.set(folder, entries);
        setName(entries, name, node);
      }
    }
    return changed;
  }

  #fileAfter(
    node: NodeId,
    { keepsSector }: Losses,
  ): { readonly bytes: Uint8Array; readonly version: string } {
    let bytes = this.#bytes[node]!;
    const version = `${node}.${this.#versions[node]}`;
    const pending = this.#pendingWrites.get(node);
    if (!pending) return { bytes, version };
    for (const write of pending) bytes = torn(bytes, write, keepsSector);
    return { bytes, version: `${version} ${Buffer.from(bytes).toString('latin1')}` };
  }
}

/** Sectors that are lost behind the last one that is there shorten the file; others are as they were, or zeros. */
function torn(old: Uint8Array, { offset, bytes }: Write, keeps: () => boolean): Uint8Array {
  let next = old;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, (Math.floor((offset + at) / SECTOR) + 1) * SECTOR - offset);
    if (keeps()) next = written(next, offset + at, bytes.subarray(at, end));
    at = end;
  }
  return next;
}
