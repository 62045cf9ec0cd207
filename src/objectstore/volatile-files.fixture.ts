/**
 * A file system in memory that writes down all that is done to it, for `power-cut.fixture.ts` to say what of it a power cut
 * leaves.
 *
 * It promises as little as POSIX does: bytes of a file are durable once the file was synced, a name once its folder was. Syncing
 * a file says nothing of its name, syncing a folder nothing of what lies in the folders below it.
 */
import { relative, resolve, sep } from 'node:path';
import type { FileCalls, FileStats, FolderEntry, OpenFile } from './file-calls.ts';

export type NodeId = number;

/** A name that now leads to `node`; undefined: to nothing. */
export interface Naming {
  readonly folder: NodeId;
  readonly name: string;
  readonly node: NodeId | undefined;
}

export type FileOperation =
  /** Both of a rename are there, or none. */
  | { readonly kind: 'name'; readonly names: readonly Naming[]; readonly label: string }
  | {
      readonly kind: 'write';
      readonly node: NodeId;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly label: string;
    }
  | { readonly kind: 'sync'; readonly node: NodeId; readonly label: string }
  /** Not of the file system: what the test was told meanwhile. */
  | { readonly kind: 'note'; readonly note: Note };

export interface Note {
  readonly object: string;
  /** What it holds from here on; `gone`: nothing, it is not there; `doubtful`: it may be there or not. */
  readonly now: Uint8Array | 'gone' | 'doubtful';
}

export type FileNode =
  | { readonly kind: 'folder'; readonly entries: Map<string, NodeId> }
  | { readonly kind: 'file'; bytes: Uint8Array };

export interface VolatileOptions {
  /** Files by their paths below the root, all of them durable. Their bytes are never changed. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Default: true. */
  readonly hardLinks?: boolean;
  /** Turns of the event loop that a call waits before it is done, so that calls of several askers mix. Default: none. */
  readonly turns?: () => number;
}

export const ROOT: NodeId = 0;
/** Where the folder of a store is on every one of them. */
export const ROOT_PATH = resolve('/volatile');

export class VolatileFiles implements FileCalls {
  readonly operations: FileOperation[] = [];
  /** Every file and folder that ever was; folders by what they hold now. */
  readonly nodes: FileNode[] = [newFolder()];
  readonly #hardLinks: boolean;
  readonly #turns: () => number;

  constructor({ files = new Map(), hardLinks = true, turns = () => 0 }: VolatileOptions = {}) {
    this.#turns = turns;
    this.#hardLinks = hardLinks;
    for (const [path, bytes] of files) this.#place(path.split('/'), bytes);
  }

  async open(path: string, flags: 'r' | 'wx'): Promise<OpenFile> {
    await this.turn();
    if (flags === 'wx') {
      const node = this.#add({ kind: 'file', bytes: new Uint8Array(0) });
      this.#give(path, node);
      return new VolatileFile(this, node);
    }
    return new VolatileFile(this, this.#find(path));
  }

  async readFile(path: string): Promise<string> {
    return Buffer.from(this.#bytes(this.#find(path))).toString();
  }

  async readdir(path: string): Promise<FolderEntry[]> {
    const entries = [...this.#entries(this.#find(path))];
    return entries.map(([name, node]) => ({
      name,
      isDirectory: () => this.nodes[node]!.kind === 'folder',
    }));
  }

  async stat(path: string): Promise<FileStats> {
    return this.statsOf(this.#find(path));
  }

  lstat(path: string): Promise<FileStats> {
    return this.stat(path);
  }

  async mkdir(path: string): Promise<void> {
    await this.turn();
    this.#give(path, this.#add(newFolder()));
  }

  async link(existing: string, path: string): Promise<void> {
    await this.turn();
    if (!this.#hardLinks) throw failure('ENOTSUP', path);
    this.#give(path, this.#find(existing));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.turn();
    const node = this.#find(from);
    this.#name(`rename ${from}`, [
      { ...this.#placeOf(from), node: undefined },
      { ...this.#placeOf(to), node },
    ]);
  }

  async unlink(path: string): Promise<void> {
    await this.turn();
    this.#find(path);
    this.#name(`unlink ${path}`, [{ ...this.#placeOf(path), node: undefined }]);
  }

  async rmdir(path: string): Promise<void> {
    await this.turn();
    if (this.#entries(this.#find(path)).size > 0) throw failure('ENOTEMPTY', path);
    this.#name(`rmdir ${path}`, [{ ...this.#placeOf(path), node: undefined }]);
  }

  contentOf(object: string): Uint8Array {
    return this.#bytes(this.#walk(object.split('/'), object));
  }

  /** As a medium that fails does it: at once, and behind everybody's back. */
  damage(object: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const node = this.#walk(object.split('/'), object);
    const now = change(this.#bytes(node));
    this.write(node, 0, now);
    this.sync(node);
    this.note({ object, now });
  }

  note(note: Note): void {
    this.operations.push({ kind: 'note', note });
  }

  write(node: NodeId, offset: number, bytes: Uint8Array): void {
    this.operations.push({ kind: 'write', node, offset, bytes, label: 'write' });
    const file = this.nodes[node]!;
    if (file.kind === 'file') file.bytes = written(file.bytes, offset, bytes);
  }

  sync(node: NodeId): void {
    this.operations.push({ kind: 'sync', node, label: 'sync' });
  }

  async turn(): Promise<void> {
    for (let turns = this.#turns(); turns > 0; turns -= 1)
      await new Promise((resolve) => setImmediate(resolve));
  }

  statsOf(node: NodeId): FileStats {
    const found = this.nodes[node]!;
    const size = found.kind === 'file' ? found.bytes.length : 0;
    const isFolder = found.kind === 'folder';
    return { size, mtimeMs: 0, dev: 1, ino: node, isFile: () => !isFolder, isDirectory: () => isFolder };
  }

  #bytes(node: NodeId): Uint8Array {
    const found = this.nodes[node]!;
    if (found.kind === 'folder') throw failure('EISDIR', '');
    return found.bytes;
  }

  #entries(node: NodeId): Map<string, NodeId> {
    const found = this.nodes[node]!;
    if (found.kind === 'file') throw failure('ENOTDIR', '');
    return found.entries;
  }

  #add(node: FileNode): NodeId {
    return this.nodes.push(node) - 1;
  }

  #give(path: string, node: NodeId): void {
    const place = this.#placeOf(path);
    if (this.#entries(place.folder).has(place.name)) throw failure('EEXIST', path);
    this.#name(`name ${path}`, [{ ...place, node }]);
  }

  #name(label: string, names: readonly Naming[]): void {
    this.operations.push({ kind: 'name', names, label: label.replace(`${ROOT_PATH}${sep}`, '') });
    for (const { folder, name, node } of names) setName(this.#entries(folder), name, node);
  }

  #placeOf(path: string): { readonly folder: NodeId; readonly name: string } {
    const parts = partsOf(path);
    return { folder: this.#walk(parts.slice(0, -1), path), name: parts.at(-1)! };
  }

  #find(path: string): NodeId {
    return this.#walk(partsOf(path), path);
  }

  #walk(parts: readonly string[], path: string): NodeId {
    let node = ROOT;
    for (const part of parts) {
      const next = this.#entries(node).get(part);
      if (next === undefined) throw failure('ENOENT', path);
      node = next;
    }
    return node;
  }

  #place(parts: readonly string[], bytes: Uint8Array): void {
    let folder = this.#entries(ROOT);
    for (const part of parts.slice(0, -1)) {
      const node = folder.get(part) ?? this.#add(newFolder());
      folder.set(part, node);
      folder = this.#entries(node);
    }
    folder.set(parts.at(-1)!, this.#add({ kind: 'file', bytes }));
  }
}

class VolatileFile implements OpenFile {
  readonly #files: VolatileFiles;
  readonly #node: NodeId;

  constructor(files: VolatileFiles, node: NodeId) {
    this.#files = files;
    this.#node = node;
  }

  async read(into: Uint8Array, at: number, length: number, position: number) {
    const file = this.#files.nodes[this.#node]!;
    if (file.kind === 'folder') throw failure('EISDIR', '');
    const bytes = file.bytes.subarray(position, position + length);
    into.set(bytes, at);
    return { bytesRead: bytes.length };
  }

  async write(bytes: Uint8Array, at: number, length: number, position: number) {
    await this.#files.turn();
    this.#files.write(this.#node, position, new Uint8Array(bytes.subarray(at, at + length)));
    return { bytesWritten: length };
  }

  async stat(): Promise<FileStats> {
    return this.#files.statsOf(this.#node);
  }

  async sync(): Promise<void> {
    await this.#files.turn();
    this.#files.sync(this.#node);
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** As a new array: states of the past may still show the old one. */
export function written(old: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const next = new Uint8Array(Math.max(old.length, offset + bytes.length));
  next.set(old);
  next.set(bytes, offset);
  return next;
}

export function setName(entries: Map<string, NodeId>, name: string, node: NodeId | undefined): void {
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}

function newFolder(): FileNode {
  return { kind: 'folder', entries: new Map() };
}

function partsOf(path: string): string[] {
  const below = relative(ROOT_PATH, path);
  return below === '' ? [] : below.split(sep);
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
