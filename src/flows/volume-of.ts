/** Which volume of a host a file lies on, as far as its path tells. */

const VOLUMES: readonly RegExp[] = [
  // Volumes of a cluster are folders of the system drive, each a disk of its own.
  /^[a-z]:\\clusterstorage\\[^\\]+/,
  /^\\\\\?\\volume\{[^}]*\}/,
  /^\\\\[^\\]+\\[^\\]+/,
  /^[a-z]:/,
];

/** In small letters: `c:`, `c:\clusterstorage\volume1`, `\\nas\vms`. A path of another form is its own volume. */
export function volumeOf(path: string): string {
  const plain = path
    .replaceAll('/', '\\')
    .toLowerCase()
    .replace(/^\\\\\?\\unc\\/, '\\\\')
    .replace(/^\\\\\?\\(?=[a-z]:)/, '');
  for (const volume of VOLUMES) {
    const found = volume.exec(plain);
    if (found) return found[0];
  }
  return plain;
}

/** Reached from every node of a cluster by the same path. */
export function isShared(volume: string): boolean {
  return volume.startsWith('\\\\') ? !volume.startsWith('\\\\?\\') : volume.includes('\\clusterstorage\\');
}
