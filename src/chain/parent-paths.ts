/** Where the parent of a file may lie, in the notation of whoever opens it. */
import { posix, win32 } from 'node:path';

/** How a child names its parent. Paths are only hints where to look. */
export interface ParentLocator {
  /** The parent's identity: its DataWriteGuid in a VHDX, its `uniqueId` in a VHD. */
  readonly parentLinkage: string;
  /** The identity the parent gets; set while the child is merged into it. */
  readonly parentLinkage2?: string;
  /** As written in the file: a Windows path. */
  readonly relativePath?: string;
  readonly volumePath?: string;
  readonly absolutePath?: string;
}

/**
 * Where to look by default: the relative path beside the child, then absolute and volume path as they stand. The paths
 * come from the file: it is the opener that decides which of them it is willing to open.
 */
export function defaultParentPaths(childPath: string, locator: ParentLocator): string[] {
  const beside = locator.relativePath && resolveBeside(childPath, locator.relativePath);
  return [beside, locator.absolutePath, locator.volumePath].filter(
    (path) => path !== undefined && path !== '',
  ) as string[];
}

/** A relative Windows path from the folder of `childPath`, in the notation of `childPath`. */
function resolveBeside(childPath: string, relativePath: string): string {
  if (isWindowsPath(childPath)) return win32.join(win32.dirname(childPath), relativePath);
  return posix.join(posix.dirname(childPath), relativePath.replaceAll('\\', '/'));
}

/** The path from the folder of `childPath` to `parentPath`, as Windows writes it; `undefined` across drives. */
export function relativeParentPath(childPath: string, parentPath: string): string | undefined {
  const flavour = isWindowsPath(childPath) ? win32 : posix;
  const relative = flavour.relative(flavour.dirname(childPath), parentPath);
  if (flavour.isAbsolute(relative)) return undefined;
  const windows = relative.replaceAll('/', '\\');
  return windows.startsWith('..\\') ? windows : `.\\${windows}`;
}

function isWindowsPath(path: string): boolean {
  return /^[a-z]:/i.test(path) || (path.includes('\\') && !path.startsWith('/'));
}
