/** TREE_CONNECT: entering a share. MS-SMB2 2.2.9, 2.2.10. */
import {
  SHARE_CAPABILITY_DFS,
  SHARE_FLAG_DFS,
  SHARE_TYPE_DISK,
  treeConnectRequest,
  treeConnectResponse,
} from './format.ts';
import { HEADER_BYTES, readBody, writeBody } from './message.ts';

export interface ShareNature {
  readonly isDisk: boolean;
  /** Names below it may lie on other servers. */
  readonly isDfs: boolean;
}

export function writeTreeConnect(host: string, share: string): Uint8Array {
  const path = Buffer.from(`\\\\${host}\\${share}`, 'utf16le');
  const at = { pathOffset: HEADER_BYTES + treeConnectRequest.size, pathLength: path.length };
  return writeBody(treeConnectRequest, at, [path]);
}

/** Throws `Malformed`. */
export function readTreeConnect(bytes: Uint8Array): ShareNature {
  const body = readBody(treeConnectResponse, bytes, false);
  return {
    isDisk: body.shareType === SHARE_TYPE_DISK,
    isDfs: (body.shareFlags & SHARE_FLAG_DFS) !== 0 || (body.capabilities & SHARE_CAPABILITY_DFS) !== 0,
  };
}
