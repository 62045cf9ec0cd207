/**
 * Files that answer at once, for a thread that plays sequences: the functions of `node:fs/promises` that the lab and the
 * readers of disks use, done before they return.
 *
 * The files of a sequence lie in memory (`/dev/shm`), where a read takes a microsecond; handing it to another thread of the
 * process and back took thirty, and half of the time of a sequence. What is asynchronous about files is proved elsewhere:
 * `test/e2e` and the tests of each module use them as they are.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const WHOLE = {
  access: fs.accessSync,
  appendFile: fs.appendFileSync,
  copyFile: fs.copyFileSync,
  link: fs.linkSync,
  lstat: fs.lstatSync,
  mkdir: fs.mkdirSync,
  mkdtemp: fs.mkdtempSync,
  readFile: fs.readFileSync,
  readdir: fs.readdirSync,
  realpath: fs.realpathSync,
  rename: fs.renameSync,
  rm: fs.rmSync,
  stat: fs.statSync,
  truncate: fs.truncateSync,
  unlink: fs.unlinkSync,
  writeFile: fs.writeFileSync,
} as const;

/** For the rest of this thread's life. */
export function answerAtOnce(): void {
  const functions = promises as unknown as Record<string, unknown>;
  for (const [name, run] of Object.entries(WHOLE)) functions[name] = later(run as Work);
  functions['opendir'] = later((folder) => fs.readdirSync(folder as string, { withFileTypes: true }));
  functions['open'] = later(
    (...args) => new ImmediateFile(fs.openSync(...(args as Parameters<typeof fs.openSync>))),
  );
  syncBuiltinESMExports();
}

type Work = (...args: readonly unknown[]) => unknown;

/** A failure is a rejection, as callers expect. */
function later(run: Work): (...args: readonly unknown[]) => Promise<unknown> {
  return async (...args) => run(...args);
}

/** What of `FileHandle` is used of such files. */
class ImmediateFile {
  readonly fd: number;
  #isOpen = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  async read(into: Uint8Array, at: number, length: number, position: number) {
    return { bytesRead: fs.readSync(this.fd, into, at, length, position), buffer: into };
  }

  async write(bytes: Uint8Array, at: number, length: number, position: number) {
    return { bytesWritten: fs.writeSync(this.fd, bytes, at, length, position), buffer: bytes };
  }

  async stat(): Promise<fs.Stats> {
    return fs.fstatSync(this.fd);
  }

  async truncate(length: number): Promise<void> {
    fs.ftruncateSync(this.fd, length);
  }

  /** Nothing here has to survive the loss of power. */
  async datasync(): Promise<void> {}

  async sync(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#isOpen) fs.closeSync(this.fd);
    this.#isOpen = false;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
