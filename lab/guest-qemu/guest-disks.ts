/**
 * The disks of a VM as exports of an NBD server on a private socket. It carries bytes: what they are stored in, what counts as changed
 * and what is remembered as the truth is the host's, behind {@link GuestDisk}.
 */
import { rm } from 'node:fs/promises';
import type { Disk, RangeWriter } from '../../src/disk/index.ts';
import { clip, type Extent, type ExtentStream } from '../../src/extents/index.ts';
import { NbdServer } from '../../src/nbd/index.ts';
import type { GuestDisk } from '../model/index.ts';

/** Exports `0`, `1` … in the order of the disks. Throws `NBD_LISTEN_FAILED`, as when the path is too long for a socket. */
export async function serveDisks(disks: readonly GuestDisk[], socket: string): Promise<NbdServer> {
  const exports = new Map(
    disks.map((disk, index) => [String(index), { disk: readerOf(disk), writer: writerOf(disk) }]),
  );
  // Left by a lab that was killed.
  await rm(socket, { force: true });
  return NbdServer.listen({ kind: 'unix', path: socket }, { exports });
}

function readerOf(disk: GuestDisk): Disk {
  const { size, logicalSectorSize } = disk;
  return {
    size,
    logicalSectorSize,
    read: (offset, into) => disk.read(offset, into),
    allocated: (within = { offset: 0, length: size }) => all(within, size),
    close: () => Promise.resolve(),
  };
}

/** Zeros are read as any other bytes; guests do not ask. */
async function* all(within: Extent, size: number): ExtentStream {
  yield* clip([within], size);
}

/** What was answered is kept already, whatever becomes of the lab's process: a flush has nothing to add. */
function writerOf(disk: GuestDisk): RangeWriter {
  return {
    size: disk.size,
    write: (offset, bytes) => disk.write(offset, bytes),
    zero: (offset, length) => disk.zero(offset, length),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
