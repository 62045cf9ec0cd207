/**
 * The configuration file: read whole, checked whole, and changed only by {@link ConfigFile.edit}, which keeps comments and
 * replaces the file in one step.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Document } from 'yaml';
import { count } from './numbers.ts';
import { parseConfig, type ParsedConfig } from './config-problems.ts';
import type { Config } from './config-schema.ts';
import type { ConfigLocation } from './config-path.ts';
import { configFaults } from './faults.ts';

/** A configuration of a thousand hosts has under 300 KB. */
const FILE_BYTES_MAX = 1024 * 1024;

export class ConfigFile {
  readonly path: string;
  readonly config: Config;
  readonly #document: Document;
  /** As it was read; undefined when there is no file yet. */
  readonly #text: string | undefined;

  private constructor(file: string, text: string | undefined, parsed: ParsedConfig) {
    this.path = file;
    this.#text = text;
    this.#document = parsed.document;
    this.config = parsed.config;
  }

  /** A file that is not there is an empty configuration, unless the user named it: `CONFIG_NOT_FOUND`. */
  static async load({ path: file, named }: ConfigLocation): Promise<ConfigFile> {
    const text = await readText(file);
    if (text === undefined && named) throw configFaults.notFound({ path: file });
    return new ConfigFile(file, text, parsedOrThrow(text ?? '', file));
  }

  /** As {@link load}, for a command that will make the file when there is none. */
  static loadOrStart(location: ConfigLocation): Promise<ConfigFile> {
    return ConfigFile.load({ ...location, named: false });
  }

  /** Folder that relative paths in the file start at. */
  get folder(): string {
    return path.dirname(this.path);
  }

  /** Applies `change` to the document and writes it, mode 0600. What results must be a valid configuration. */
  async edit(change: (document: Document) => void): Promise<void> {
    change(this.#document);
    const text = this.#document.toString({ lineWidth: 0, indent: indentOf(this.#text ?? '') });
    parsedOrThrow(text, this.path);
    if ((await readText(this.path)) !== this.#text) throw configFaults.changedMeanwhile({ path: this.path });
    await writeAtomically(this.path, text);
  }
}

function parsedOrThrow(text: string, file: string): ParsedConfig {
  const parsed = parseConfig(text, file);
  if (!('problems' in parsed)) return parsed;
  const { problems } = parsed;
  throw configFaults.invalid({ count: count(problems.length, 'problem'), problems: problems.join('\n') });
}

async function readText(file: string): Promise<string | undefined> {
  try {
    const { size } = await stat(file);
    if (size > FILE_BYTES_MAX) throw configFaults.tooLarge({ path: file, bytes: size, most: FILE_BYTES_MAX });
    return (await readFile(file, 'utf8')).replace(/^\ufeff/, '');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code?.startsWith('CONFIG_')) throw error;
    throw configFaults.unreadable({ path: file, reason: message }, { cause: error });
  }
}

/** The file is replaced in one step; a crash leaves the old or the new one. */
async function writeAtomically(file: string, text: string): Promise<void> {
  let temporary: string | undefined;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    // A configuration kept elsewhere and linked here stays a link.
    const target = await realpath(file).catch(() => file);
    temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    await writeDurably(temporary, text);
    await rename(temporary, target);
    await syncFolder(path.dirname(target));
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true });
    throw configFaults.unwritable({ path: file, reason: (error as Error).message }, { cause: error });
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  await using handle = await open(file, 'wx', 0o600);
  await handle.writeFile(text);
  await handle.sync();
}

/** Windows has no handle of a folder to sync; there the rename itself is journalled. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(folder);
  await handle.sync();
}

/** Spaces of the first indented line, so that an edit does not move every line of a file indented by four. */
function indentOf(text: string): number {
  const first = /^[\w"'].*:\s*(?:#.*)?\r?\n(?:\s*(?:#.*)?\r?\n)*( +)\S/m.exec(text)?.[1];
  return first === undefined ? 2 : Math.min(8, first.length);
}
