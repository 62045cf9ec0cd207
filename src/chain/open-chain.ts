/**
 * Finding and opening the files of a chain: leaf, its parent, the parent's parent ... down to the base.
 *
 * A parent is accepted by the identity its child names, which each format keeps elsewhere. Whatever was opened is closed
 * again when the chain cannot be completed.
 */
import { isFault, type FaultFactory } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { defaultParentPaths, type ParentLocator } from './parent-paths.ts';

/** A guard against chains without end; Hyper-V itself allows 50 checkpoints of a VM. */
const CHAIN_LENGTH_MAX = 256;

export interface OpenChainOptions extends CallOptions {
  /** Opens one file. It is called with paths that come from files, and decides which of them it is willing to open. */
  readonly open: (path: string) => Promise<RangeReader>;
  /** Where a child's parent may be, best first. Default: the relative path beside the child, then the absolute ones. */
  readonly parentPaths?: (childPath: string, locator: ParentLocator) => string[];
}

/** A file that was opened and says what it is. */
export interface OpenedFile {
  readonly path: string;
  readonly reader: RangeReader;
}

/** What differs between the formats of chains. */
export interface ChainFormat<F extends OpenedFile> {
  /** What the codes of faults begin with that say a file of this format is broken, as `VHDX_`. */
  readonly faultPrefix: string;
  readonly faults: Readonly<
    Record<'chainTooDeep' | 'chainCycle' | 'parentMismatch' | 'parentMissing', FaultFactory>
  >;
  readonly read: (reader: RangeReader, path: string, options: CallOptions) => Promise<F>;
  /** `undefined` for a base. */
  readonly parentOf: (child: F) => ParentLocator | undefined;
  readonly isParent: (locator: ParentLocator, candidate: F) => boolean;
  /** By identity, which two files share only as copies of each other. */
  readonly isCopy: (one: F, other: F) => boolean;
  /** Throws when the two cannot make one disk though the parent is the right one. */
  readonly checkPair?: (child: F, parent: F) => void;
}

/**
 * Opens the file at `path` with all its parents and makes of them, leaf first, what `use` makes. Faults: those of `format`;
 * what `open` throws for `path` itself passes through, for a parent it becomes the cause of `parentMissing` unless a retry
 * may help.
 */
export async function openChain<F extends OpenedFile, T>(
  path: string,
  options: OpenChainOptions,
  format: ChainFormat<F>,
  use: (files: readonly F[]) => Promise<T>,
): Promise<T> {
  const search = new ParentSearch(format, options);
  try {
    await search.openAll(path);
    return await use(search.opened);
  } catch (error) {
    await Promise.allSettled(search.opened.map(({ reader }) => reader.close()));
    throw error;
  }
}

class ParentSearch<F extends OpenedFile> {
  readonly opened: F[] = [];
  readonly #format: ChainFormat<F>;
  readonly #options: OpenChainOptions;

  constructor(format: ChainFormat<F>, options: OpenChainOptions) {
    this.#format = format;
    this.#options = options;
  }

  async openAll(path: string): Promise<void> {
    const { parentOf, checkPair, faults } = this.#format;
    this.opened.push(await this.#open(path));
    for (;;) {
      const child = this.opened.at(-1)!;
      const locator = parentOf(child);
      if (!locator) return;
      if (this.opened.length === CHAIN_LENGTH_MAX) {
        throw faults.chainTooDeep({ path, maximum: CHAIN_LENGTH_MAX });
      }
      const parent = await this.#openParent(child, locator);
      this.opened.push(parent);
      checkPair?.(child, parent);
    }
  }

  async #open(path: string): Promise<F> {
    this.#options.signal?.throwIfAborted();
    const reader = await this.#options.open(path);
    try {
      return await this.#format.read(reader, path, this.#options);
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  async #openParent(child: F, locator: ParentLocator): Promise<F> {
    const candidates = [...new Set((this.#options.parentPaths ?? defaultParentPaths)(child.path, locator))];
    const failures = new ParentFailures(this.#format, child.path, candidates);
    for (const path of candidates) {
      const candidate = await this.#open(path).catch((error: unknown) => failures.add(error, this.#options));
      if (!candidate) continue;
      const isParent = this.#format.isParent(locator, candidate);
      if (isParent && !this.#isOpen(candidate)) return candidate;
      await candidate.reader.close();
      if (isParent) throw this.#format.faults.chainCycle({ path: this.opened[0]!.path });
      failures.mismatch(path);
    }
    throw failures.worst();
  }

  #isOpen(candidate: F): boolean {
    return this.opened.some((file) => file.path === candidate.path || this.#format.isCopy(file, candidate));
  }
}

/** Why none of the candidates was the parent. What says most is reported: a broken file, a wrong file, none at all. */
class ParentFailures {
  readonly #format: Pick<ChainFormat<OpenedFile>, 'faultPrefix' | 'faults'>;
  readonly #childPath: string;
  readonly #tried: readonly string[];
  #broken: unknown;
  #mismatch: unknown;
  #missing: unknown;

  constructor(
    format: Pick<ChainFormat<OpenedFile>, 'faultPrefix' | 'faults'>,
    childPath: string,
    tried: readonly string[],
  ) {
    this.#format = format;
    this.#childPath = childPath;
    this.#tried = tried;
  }

  /** Records a candidate that did not open; throws on when trying again may help, or when cancelled. */
  add(error: unknown, options: CallOptions): undefined {
    if (options.signal?.aborted || (isFault(error) && error.kind === 'retry')) throw error;
    if (isFault(error) && error.code.startsWith(this.#format.faultPrefix)) this.#broken ??= error;
    else this.#missing ??= error;
  }

  mismatch(parent: string): void {
    this.#mismatch ??= this.#format.faults.parentMismatch({ path: this.#childPath, parent });
  }

  worst(): unknown {
    return (
      this.#broken ??
      this.#mismatch ??
      this.#format.faults.parentMissing(
        { path: this.#childPath, tried: this.#tried.join(', ') || 'no path is given' },
        { cause: this.#missing },
      )
    );
  }
}
