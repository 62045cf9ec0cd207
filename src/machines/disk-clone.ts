/**
 * A clone of a disk for a machine that must not write to the disk itself: an empty qcow2 image over it. What the guest writes goes
 * into the image, and the disk below is opened for reading only, by QEMU's own rule for backing files.
 */
import { createQcow2Image, type BackingFile } from '../images/index.ts';
import type { DiskSource } from './machine.ts';

export interface DiskToClone {
  readonly source: DiskSource;
  /** Bytes of the disk; what is below may be larger, as volumes come in steps. */
  readonly size: number;
}

/** Makes `path`, or makes it anew. Throws what writing images throws: `IMAGE_BACKING_REFUSED`, `IMAGE_NOT_A_FILE` … */
export async function cloneDisk({ source, size }: DiskToClone, path: string): Promise<DiskSource> {
  const image = await createQcow2Image(path, { size, backing: backingOf(source), overwrite: true });
  try {
    await image.finish();
  } catch (error) {
    await image.abort();
    throw error;
  }
  return { kind: 'file', path, format: 'qcow2' };
}

/** An address as JSON, because the short form of NBD addresses cannot have every name of an export. */
function backingOf(source: DiskSource): BackingFile {
  if (source.kind === 'file') return { path: source.path, format: source.format };
  const { place, exportName } = source;
  const server =
    place.kind === 'unix'
      ? { type: 'unix', path: place.path }
      : { type: 'inet', host: place.host, port: String(place.port) };
  const node = { driver: 'raw', file: { driver: 'nbd', server, export: exportName } };
  return { path: `json:${JSON.stringify(node)}`, format: 'raw' };
}
