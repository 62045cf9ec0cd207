/**
 * Opening a file again, provided it is the same: same number on its volume, same size, same last write. The time of
 * creation says nothing: Samba derives one from the time of the last access.
 */
import type { Opener, Slot } from '../remote/index.ts';
import type { FileIdentity } from './create.ts';
import { smbFaults } from './faults.ts';
import type { FileHandle, SmbSession } from './session.ts';

export interface FilePlace {
  readonly host: string;
  readonly share: string;
  /** Relative to the share, with backslashes. */
  readonly path: string;
}

/** Throws what opening a session or a file throws, and `SMB_FILE_CHANGED`. */
export function sameFile(
  slot: Slot<SmbSession>,
  { host, share, path }: FilePlace,
  identity: FileIdentity,
): Opener<FileHandle> {
  const close = (handle: FileHandle): Promise<void> => handle.session.closeFile(handle);
  return {
    async open() {
      const session = await slot.get();
      const handle = await session.open(share, path);
      const reason = difference(identity, handle.identity);
      if (reason === undefined) return handle;
      await close(handle);
      throw smbFaults.fileChanged({ host, path: handle.path, reason });
    },
    close,
  };
}

function difference(before: FileIdentity, now: FileIdentity): string | undefined {
  if (before.onDisk !== now.onDisk) return 'another file has taken its name';
  if (before.size !== now.size) return `it had ${before.size} bytes and now has ${now.size}`;
  return before.lastWriteTime === now.lastWriteTime ? undefined : 'it was written to';
}
