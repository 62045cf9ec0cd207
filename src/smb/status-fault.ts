/** From the status of an answer to what the user is told. MS-SMB2 3.3.5, MS-ERREF 2.3.1. */
import type { Fault, FaultFactory } from '../base/index.ts';
import { smbFaults } from './faults.ts';
import type { Command } from './format.ts';
import { statusName, STATUS } from './status.ts';

export interface StatusContext {
  readonly host: string;
  readonly user: string;
  readonly command: Command;
  /** `share\path`, or the share alone. */
  readonly path: string;
}

const BY_STATUS = new Map<number, FaultFactory>([
  [STATUS.ACCESS_DENIED, smbFaults.accessDenied],
  [STATUS.OBJECT_NAME_NOT_FOUND, smbFaults.notFound],
  [STATUS.OBJECT_PATH_NOT_FOUND, smbFaults.notFound],
  [STATUS.NOT_A_DIRECTORY, smbFaults.notFound],
  [STATUS.DELETE_PENDING, smbFaults.notFound],
  [STATUS.OBJECT_NAME_INVALID, smbFaults.badName],
  [STATUS.OBJECT_PATH_SYNTAX_BAD, smbFaults.badName],
  [STATUS.FILE_IS_A_DIRECTORY, smbFaults.notAFile],
  [STATUS.SHARING_VIOLATION, smbFaults.sharingViolation],
  [STATUS.FILE_LOCK_CONFLICT, smbFaults.rangeLocked],
  [STATUS.BAD_NETWORK_NAME, smbFaults.noSuchShare],
  [STATUS.PATH_NOT_COVERED, smbFaults.dfsRefused],
  [STATUS.STOPPED_ON_SYMLINK, smbFaults.symbolicLink],
]);

/** The server forgot the session, the share or the handle: all of it has to be made again. */
const FORGOTTEN = new Set<number>([
  STATUS.USER_SESSION_DELETED,
  STATUS.NETWORK_SESSION_EXPIRED,
  STATUS.NETWORK_NAME_DELETED,
  STATUS.CONNECTION_DISCONNECTED,
  STATUS.FILE_CLOSED,
]);

export function isForgotten(status: number): boolean {
  return FORGOTTEN.has(status);
}

export function statusFault(status: number, context: StatusContext): Fault {
  const { host, user, path, command } = context;
  const name = statusName(status);
  if (isForgotten(status)) return smbFaults.connectionLost({ host, reason: name });
  const make = BY_STATUS.get(status);
  if (make) return make({ host, user, path, share: path });
  return smbFaults.serverFailed({ host, command, status: name });
}
