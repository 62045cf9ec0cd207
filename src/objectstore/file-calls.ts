/**
 * What a directory store asks of a file system, and nothing else: so that tests can put one beneath it that loses, tears and
 * reorders what was not synced, which no file system of the machine does on demand.
 */
import { link, lstat, mkdir, open, readdir, readFile, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { errorCode } from './faults.ts';

export interface FileStats {
  readonly size: number;
  readonly mtimeMs: number;
  readonly dev: number;
  readonly ino: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

export interface FolderEntry {
  readonly name: string;
  isDirectory(): boolean;
}

export interface OpenFile extends AsyncDisposable {
  read(
    into: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  write(
    bytes: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  stat(): Promise<FileStats>;
  /** Of a folder: its names. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Each fails as the function of `node:fs/promises` does. */
export interface FileCalls {
  /** `wx`: a new file, to be written. Folders are opened with `r`, to be synced. */
  open(path: string, flags: 'r' | 'wx'): Promise<OpenFile>;
  readFile(path: string, encoding: 'utf8'): Promise<string>;
  readdir(path: string, options: { readonly withFileTypes: true }): Promise<FolderEntry[]>;
  stat(path: string): Promise<FileStats>;
  lstat(path: string): Promise<FileStats>;
  mkdir(path: string): Promise<unknown>;
  link(existing: string, path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Fails unless the folder is empty. */
  rmdir(path: string): Promise<void>;
}

export const systemFiles: FileCalls = {
  open: (path, flags) => open(path, flags),
  readFile: (path, encoding) => readFile(path, encoding),
  readdir: (path, options) => readdir(path, options),
  stat: (path) => stat(path),
  lstat: (path) => lstat(path),
  mkdir: (path) => mkdir(path),
  link: (existing, path) => link(existing, path),
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  rmdir: (path) => rmdir(path),
};

/** Gone already is success. */
export async function removeFile(files: FileCalls, path: string): Promise<void> {
  await files.unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
}
