/** Folders of the host and where each is reached instead. The mapping whose folder is the longest above a file counts. */
import { isFault } from '../base/index.ts';
import { hostFileFaults } from './faults.ts';
import { namesBelow, parseWindowsPath, type WindowsPath } from './windows-path.ts';

export interface FolderMapping {
  /** A folder as the host names it: `C:\ClusterStorage`, `\\nas\vms`. */
  readonly from: string;
  /** Where that folder is reached: `/mnt/csv`; by SMB, `\\host\share\folder`. */
  readonly to: string;
}

export interface ParsedMapping<T> extends FolderMapping {
  readonly folder: WindowsPath;
  readonly target: T;
}

/** Throws `HOSTFILE_BAD_MAPPING`; `parseTarget` throws any error that says why a `to` cannot be used. */
export function parseMappings<T>(
  mappings: readonly FolderMapping[],
  parseTarget: (to: string) => T,
): ParsedMapping<T>[] {
  const parsed = mappings.map((mapping) => parseMapping(mapping, parseTarget));
  parsed.forEach(({ from, to, folder }, index) => {
    const twin = parsed.slice(0, index).find((other) => isSameFolder(other.folder, folder));
    if (twin)
      throw hostFileFaults.badMapping({ from, to, reason: `the folder is already mapped to ${twin.to}` });
  });
  return parsed;
}

export function longestMapping<T>(
  mappings: readonly ParsedMapping<T>[],
  path: WindowsPath,
): ParsedMapping<T> | undefined {
  return mappings
    .filter(({ folder }) => namesBelow(folder, path) !== undefined)
    .toSorted((a, b) => b.folder.names.length - a.folder.names.length)[0];
}

function parseMapping<T>({ from, to }: FolderMapping, parseTarget: (to: string) => T): ParsedMapping<T> {
  const part = <V>(name: string, parse: () => V): V => {
    try {
      return parse();
    } catch (error) {
      const reason = isFault(error) ? String(error.details['reason']) : (error as Error).message;
      throw hostFileFaults.badMapping({ from, to, reason: `\`${name}\`: ${reason}` }, { cause: error });
    }
  };
  return {
    from,
    to,
    folder: part('from', () => parseWindowsPath(from)),
    target: part('to', () => parseTarget(to)),
  };
}

function isSameFolder(a: WindowsPath, b: WindowsPath): boolean {
  return a.names.length === b.names.length && namesBelow(a, b) !== undefined;
}
