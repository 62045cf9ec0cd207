/** CREATE, which opens a file, and CLOSE. MS-SMB2 2.2.13 to 2.2.15. Only for reading, and everybody else may go on. */
import {
  ATTRIBUTE_DIRECTORY,
  closeRequest,
  createContext,
  createRequest,
  createResponse,
  IMPERSONATION,
  NON_DIRECTORY,
  onDiskId,
  OPEN_EXISTING,
  QUERY_ON_DISK_ID,
  READ_ACCESS,
  SHARE_ALL,
} from './format.ts';
import { HEADER_BYTES, Malformed, paddedTo8, readBody, readSpan, writeBody } from './message.ts';

/** What tells whether a file that is opened again is the one that was open before. */
export interface FileIdentity {
  /** Number of the file on its volume, and the volume's; `undefined` where the server does not tell. */
  readonly onDisk: string | undefined;
  readonly size: number;
  readonly lastWriteTime: bigint;
}

export interface OpenedFile {
  /** The server's handle. */
  readonly fileId: Uint8Array;
  readonly isFolder: boolean;
  readonly identity: FileIdentity;
}

const CONTEXTS_MAX = 32;

/** `path` is relative to the share, without a backslash in front. */
export function writeCreate(path: string): Uint8Array {
  const name = Buffer.from(path, 'utf16le');
  const nameOffset = HEADER_BYTES + createRequest.size;
  const padded = paddedTo8(name);
  const context = queryOnDiskId();
  return writeBody(
    createRequest,
    {
      impersonationLevel: IMPERSONATION,
      desiredAccess: READ_ACCESS,
      shareAccess: SHARE_ALL,
      createDisposition: OPEN_EXISTING,
      createOptions: NON_DIRECTORY,
      nameOffset,
      nameLength: name.length,
      contextsOffset: nameOffset + padded.length,
      contextsLength: context.length,
    },
    [padded, context],
  );
}

export function writeClose(fileId: Uint8Array): Uint8Array {
  return writeBody(closeRequest, { fileId }, [], false);
}

/** Throws `Malformed`. */
export function readCreate(bytes: Uint8Array): OpenedFile {
  const body = readBody(createResponse, bytes);
  const contexts = readSpan(bytes, body.contextsOffset, body.contextsLength, 'the create contexts');
  if (body.endOfFile > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed(`a size of ${body.endOfFile}`);
  return {
    fileId: body.fileId,
    isFolder: (body.fileAttributes & ATTRIBUTE_DIRECTORY) !== 0,
    identity: {
      onDisk: readOnDiskId(contexts),
      size: Number(body.endOfFile),
      lastWriteTime: body.lastWriteTime,
    },
  };
}

function queryOnDiskId(): Uint8Array {
  const name = Buffer.from(QUERY_ON_DISK_ID, 'latin1');
  const head = new Uint8Array(createContext.size);
  createContext.write(head, { nameOffset: createContext.size, nameLength: name.length });
  return paddedTo8(Buffer.concat([head, name]));
}

function readOnDiskId(contexts: Uint8Array): string | undefined {
  for (const { name, data } of contextsIn(contexts)) {
    if (name !== QUERY_ON_DISK_ID) continue;
    if (data.length < onDiskId.size) throw new Malformed('the identity of the file is cut short');
    const { diskFileId, volumeId } = onDiskId.read(data);
    return `${volumeId.toString(16)}:${diskFileId.toString(16)}`;
  }
  return undefined;
}

/** Each `next` leads forward, so the chain ends; and it has few links. */
function* contextsIn(bytes: Uint8Array): Generator<{ name: string; data: Uint8Array }> {
  let at = 0;
  for (let count = 0; bytes.length > 0; count += 1) {
    if (count >= CONTEXTS_MAX) throw new Malformed('too many create contexts');
    const rest = bytes.subarray(at);
    if (rest.length < createContext.size) throw new Malformed('a create context is cut short');
    const { next, nameOffset, nameLength, dataOffset, dataLength } = createContext.read(rest);
    const end = next === 0 ? rest.length : next;
    if (end > rest.length || nameOffset + nameLength > end || dataOffset + dataLength > end) {
      throw new Malformed('a create context leaves its place');
    }
    const name = Buffer.from(rest.subarray(nameOffset, nameOffset + nameLength)).toString('latin1');
    yield { name, data: rest.subarray(dataOffset, dataOffset + dataLength) };
    if (next === 0) return;
    at += next;
  }
}
