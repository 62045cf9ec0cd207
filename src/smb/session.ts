/** A logged-on connection: shares, handles, reads. What it throws says whether a new session could do better. */
import type { SecurityProvider } from '../auth/index.ts';
import { diskFaults } from '../disk/index.ts';
import { SmbConnection, type Request } from './connection.ts';
import { readCreate, writeClose, writeCreate, type FileIdentity } from './create.ts';
import type { ConnectionTarget } from './dial.ts';
import { smbFaults } from './faults.ts';
import { CREDIT_BYTES, emptyRequest, messageHeader } from './format.ts';
import type { Landing } from './landing.ts';
import { logOn } from './log-on.ts';
import { writeBody, type Reply } from './message.ts';
import { land, readCharge, writeRead } from './read.ts';
import { isForgotten, statusFault } from './status-fault.ts';
import { STATUS } from './status.ts';
import { readTreeConnect, writeTreeConnect } from './tree-connect.ts';

export interface SessionTarget extends ConnectionTarget {
  readonly security: SecurityProvider;
  /** For messages. */
  readonly user: string;
}

/** An open file of one session. */
export interface FileHandle {
  readonly session: SmbSession;
  readonly treeId: number;
  readonly fileId: Uint8Array;
  readonly identity: FileIdentity;
  /** `share\path`, for messages. */
  readonly path: string;
}

/** Saying goodbye is a courtesy: a server that does not answer it is not waited for. */
const GOODBYE_MS = 2_000;

export class SmbSession {
  readonly #target: SessionTarget;
  readonly #connection: SmbConnection;
  readonly #readBytesMax: number;
  readonly #trees = new Map<string, Promise<number>>();

  /** `connection` is logged on and takes reads of `readBytesMax` bytes. */
  constructor(target: SessionTarget, connection: SmbConnection, readBytesMax: number) {
    this.#target = target;
    this.#connection = connection;
    this.#readBytesMax = readBytesMax;
  }

  /** Throws `SMB_UNREACHABLE`, `SMB_DIALECT_REFUSED`, `SMB_ENCRYPTION_REFUSED`, `SMB_LOGON_FAILED` and kin. */
  static async open(target: SessionTarget, signal: AbortSignal): Promise<SmbSession> {
    const { host } = target;
    const connection = await SmbConnection.open(target, signal);
    const onAbort = (): void => connection.close();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      using security = await target.security({ host, service: 'cifs' }, signal);
      const { readBytesMax } = await logOn(connection, security, target.user);
      return new SmbSession(target, connection, readBytesMax);
    } catch (error) {
      const fault = connection.faultOf(error);
      connection.fail(fault);
      throw fault;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  get usable(): boolean {
    return this.#connection.usable;
  }

  /** Opens `path`, relative to the share. Throws the faults of `statusFault`, `SMB_DFS_REFUSED`, `SMB_NOT_A_DISK`. */
  async open(share: string, path: string): Promise<FileHandle> {
    const treeId = await this.#tree(share);
    const whole = `${share}\\${path}`;
    const reply = await this.#demand({ command: 'CREATE', body: writeCreate(path), treeId }, whole);
    const { fileId, isFolder, identity } = this.#parse(() => readCreate(reply.bytes));
    const handle = { session: this, treeId, fileId, identity, path: whole };
    if (!isFolder) return handle;
    await this.closeFile(handle);
    throw smbFaults.notAFile({ host: this.#target.host, path: whole });
  }

  /**
   * Brings at least one byte from `offset` on to `landing`, at most as many as it has room for; resolves with how many. Throws
   * `DISK_TRUNCATED` when the file ends there.
   */
  async read(handle: FileHandle, offset: number, landing: Landing): Promise<number> {
    const missing = landing.size;
    const asked = Math.min(
      missing,
      this.#readBytesMax,
      CREDIT_BYTES * Math.max(1, this.#connection.creditsHeld),
    );
    const { treeId, fileId, path } = handle;
    const reply = await this.#connection.request({
      command: 'READ',
      body: writeRead(fileId, offset, asked),
      treeId,
      charge: readCharge(asked),
      landing,
    });
    if (reply.status === STATUS.END_OF_FILE) {
      throw diskFaults.truncated({ path: `\\\\${this.#target.host}\\${path}`, end: offset, missing });
    }
    this.#check(reply, 'READ', path);
    return this.#parse(() => land(reply, asked, landing));
  }

  /** Never throws: a handle of a broken session is gone anyway. */
  async closeFile({ treeId, fileId }: FileHandle): Promise<void> {
    await this.#courtesy({ command: 'CLOSE', body: writeClose(fileId), treeId });
  }

  /** Logs off. */
  async close(): Promise<void> {
    await this.#courtesy({ command: 'LOGOFF', body: writeBody(emptyRequest, {}, [], false) });
    this.#connection.close();
  }

  /** Ends the session at once, because the server no longer knows it. */
  abandon(): void {
    this.#connection.close();
  }

  #tree(share: string): Promise<number> {
    const key = share.toLowerCase();
    const known = this.#trees.get(key);
    if (known) return known;
    const connecting = this.#connectTree(share);
    this.#trees.set(key, connecting);
    connecting.catch(() => this.#trees.delete(key));
    return connecting;
  }

  async #connectTree(share: string): Promise<number> {
    const { host } = this.#target;
    const reply = await this.#demand({ command: 'TREE_CONNECT', body: writeTreeConnect(host, share) }, share);
    const { isDisk, isDfs } = this.#parse(() => readTreeConnect(reply.bytes));
    if (!isDisk) throw smbFaults.notADisk({ host, share });
    if (isDfs) throw smbFaults.dfsRefused({ host, path: share });
    return messageHeader.read(reply.bytes).treeId;
  }

  async #demand(request: Request, path: string): Promise<Reply> {
    const reply = await this.#connection.request(request);
    this.#check(reply, request.command, path);
    return reply;
  }

  #check(reply: Reply, command: Request['command'], path: string): void {
    if (reply.status === STATUS.SUCCESS) return;
    if (isForgotten(reply.status)) this.abandon();
    const { host, user } = this.#target;
    throw statusFault(reply.status, { host, user, command, path });
  }

  /** A damaged answer says that the rest of the stream is not to be trusted either. */
  #parse<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      const fault = this.#connection.faultOf(error);
      this.#connection.fail(fault);
      throw fault;
    }
  }

  async #courtesy(request: Request): Promise<void> {
    if (!this.usable) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, GOODBYE_MS);
    await Promise.race([this.#connection.request(request).catch(() => undefined), late]);
    clearTimeout(timer);
  }
}
