/** Opening a file again, provided it is the same. */
import type { Opener, Slot } from '../remote/index.ts';
import { sftpFaults } from './faults.ts';
import type { FileHandle, FileIdentity, SftpSession } from './session.ts';

export interface FilePlace {
  readonly host: string;
  readonly path: string;
}

/** Throws what opening a session or a file throws, and `SFTP_FILE_CHANGED`. */
export function sameFile(
  slot: Slot<SftpSession>,
  { host, path }: FilePlace,
  identity: FileIdentity,
): Opener<FileHandle> {
  const close = (handle: FileHandle): void => handle.session.closeFile(handle);
  return {
    async open() {
      const session = await slot.get();
      const handle = await session.open(path);
      const reason = difference(identity, handle.identity);
      if (reason === undefined) return handle;
      close(handle);
      throw sftpFaults.fileChanged({ host, path, reason });
    },
    close,
  };
}

function difference(before: FileIdentity, now: FileIdentity): string | undefined {
  if (before.size !== now.size) return `it had ${before.size} bytes and now has ${now.size}`;
  if (before.modified !== now.modified) return 'it was written to, or another file has taken its name';
  return before.beginning === now.beginning ? undefined : 'it begins with other bytes';
}
