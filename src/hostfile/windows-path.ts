/**
 * Paths as Windows writes them, taken apart: a root (drive, share or volume) and the names below it.
 *
 *   C:\VMs\a.vhdx              root `C:`                    names VMs, a.vhdx
 *   \\?\C:\VMs\a.vhdx          the same
 *   \\nas\vms\a.vhdx           root `\\nas\vms`             names a.vhdx
 *   \\?\UNC\nas\vms\a.vhdx     the same
 *   \\?\Volume{…}\a.vhdx       root `\\?\Volume{…}`         names a.vhdx
 *
 * Two names are the same file on the host when {@link foldName} makes them equal.
 */
import { hostFileFaults } from './faults.ts';

export interface WindowsPath {
  readonly root: string;
  readonly names: readonly string[];
}

const DRIVE = /^([a-z]:)(?:\\|$)/i;
const SHARE = /^(\\\\[^\\?.][^\\]*\\[^\\]+)(?:\\|$)/;
const VOLUME = /^(\\\\\?\\Volume\{[0-9a-f-]{36}\})(?:\\|$)/i;
// What no Windows file name may hold; a colon would name an alternate stream of the file.
const isForbidden = (character: string): boolean => character < ' ' || '<>:"/|?*'.includes(character);
/** Windows itself stops at 32,767 characters. */
const LENGTH_MAX = 32_767;

/** Throws `HOSTFILE_BAD_PATH` when `text` is relative, names a device, climbs by `..` or holds what no name may hold. */
export function parseWindowsPath(text: string): WindowsPath {
  const fail = (reason: string): never => {
    throw hostFileFaults.badPath({ path: text.slice(0, 200), reason });
  };
  if (text.length > LENGTH_MAX) fail('it is too long');
  const plain = withoutPrefix(text);
  const root = (DRIVE.exec(plain) ?? SHARE.exec(plain) ?? VOLUME.exec(plain))?.[1];
  if (root === undefined) return fail('it does not begin with a drive, a share or a volume');
  const names = plain
    .slice(root.length)
    .split('\\')
    .filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) fail('it climbs by ..');
  if (names.some((name) => Array.from(name).some(isForbidden)))
    fail('it holds a character no file name may hold');
  return { root, names };
}

/** Forward slashes become backslashes; `\\?\C:` and `\\?\UNC\` become the forms everybody writes. */
function withoutPrefix(text: string): string {
  const path = text.replaceAll('/', '\\');
  if (/^\\\\[?.]\\UNC\\/i.test(path)) return `\\\\${path.slice(8)}`;
  return /^\\\\[?.]\\[a-z]:/i.test(path) ? path.slice(4) : path;
}

/** `path` relative to `folder` as names, when it lies in it or is it. Whole names are compared, so `C:\VM` does not hold `C:\VMs`. */
export function namesBelow(folder: WindowsPath, path: WindowsPath): readonly string[] | undefined {
  const inside =
    foldName(folder.root) === foldName(path.root) &&
    folder.names.length <= path.names.length &&
    folder.names.every((name, index) => foldName(name) === foldName(path.names[index]!));
  return inside ? path.names.slice(folder.names.length) : undefined;
}

/** Upper case one character at a time, as NTFS compares: never `ß` to `SS`, which would make two names of different length equal. */
export function foldName(name: string): string {
  return Array.from(name, (character) => {
    const upper = character.toUpperCase();
    return upper.length === character.length ? upper : character;
  }).join('');
}
