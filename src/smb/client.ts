/**
 * Reads files of one SMB server: {@link createSmbClient} → `open(share, path)` → a `RangeReader`.
 *
 *   SmbClient           a few slots for sessions
 *     SmbFile           a RangeReader that outlives its sessions
 *       FileLane        the file opened on one session
 *     SmbSession        shares, handles, reads
 *       SmbConnection   requests and answers, credits, encryption
 *
 * SMB 3.1.1 with encryption or not at all. Read-only: there is no code here that could ask a server to change anything.
 */
import { CURRENT_USER, securityFor, type SecurityChoice, type SecurityProvider } from '../auth/index.ts';
import { hasCode, unlessAborted, type Fault } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { Credentials } from '../ntlm/index.ts';
import { Slot } from '../remote/index.ts';
import { smbFaults } from './faults.ts';
import { SmbFile } from './file.ts';
import type { FilePlace } from './same-file.ts';
import { SmbSession, type SessionTarget } from './session.ts';

const REFUSALS = ['SMB_LOGON_FAILED', 'SMB_GUEST_REFUSED', 'KERBEROS_PASSWORD_REFUSED', 'SSPI_FAILED'];

/** `mechanism` and `keytab`: how to log on, unless `security` says it. */
export interface SmbOptions extends SecurityChoice {
  /** Name or address; also what the log-on is tied to (`cifs/host`). */
  readonly host: string;
  /** Default 445. */
  readonly port?: number;
  /** Left out: whoever runs hvlift, that is the account on Windows, elsewhere the owner of the Kerberos ticket cache. */
  readonly credentials?: {
    /** `DOMAIN\name`, `name@domain`, or `name` for an account of the host. */
    readonly user: string;
    readonly password: string | (() => Promise<string>);
  };
  /** A log-on of the caller's own making. */
  readonly security?: SecurityProvider;
  /** At most; further ones are made when one read is not enough to keep the first busy. Default 2. */
  readonly connections?: number;
  /** How long a read goes on trying to reach a server that went away. Default 60. */
  readonly reconnectSeconds?: number;
  /** How long a connection may take. Default 15. */
  readonly connectTimeoutSeconds?: number;
  /** How long any one answer may take. Default 60. */
  readonly answerTimeoutSeconds?: number;
}

/** Nothing is sent before the first `open`. */
export function createSmbClient(options: SmbOptions): SmbClient {
  return new SmbClient(options);
}

export class SmbClient {
  readonly #target: SessionTarget;
  readonly #reconnectMs: number;
  readonly #slots: readonly [Slot<SmbSession>, ...Slot<SmbSession>[]];
  readonly #files = new Set<RangeReader>();
  readonly #ending = new AbortController();
  #refusal: Fault | undefined;

  constructor(options: SmbOptions) {
    const { host, port = 445, connections = 2, reconnectSeconds = 60 } = options;
    const { connectTimeoutSeconds = 15, answerTimeoutSeconds = 60 } = options;
    const named = options.credentials;
    const credentials = named && new Credentials(named.user, named.password);
    this.#reconnectMs = reconnectSeconds * 1000;
    this.#target = {
      host,
      port,
      user: credentials?.name ?? CURRENT_USER,
      security: options.security ?? securityFor(credentials, options),
      connectTimeoutMs: connectTimeoutSeconds * 1000,
      answerTimeoutMs: answerTimeoutSeconds * 1000,
    };
    const slot = (): Slot<SmbSession> => new Slot(() => this.#connect());
    this.#slots = [slot(), ...Array.from({ length: connections - 1 }, slot)];
  }

  /**
   * Opens a file for reading; others may go on using it. `path` is relative to the share, with backslashes.
   *
   * Throws `SMB_UNREACHABLE`, `SMB_LOGON_FAILED`, `SMB_GUEST_REFUSED`, `SMB_DIALECT_REFUSED`, `SMB_ENCRYPTION_REFUSED`,
   * `SMB_NO_SUCH_SHARE`, `SMB_DFS_REFUSED`, `SMB_NOT_FOUND`, `SMB_NOT_A_FILE`, `SMB_ACCESS_DENIED`,
   * `SMB_SHARING_VIOLATION`, `SMB_CLOSED` and what ends a connection.
   */
  async open(share: string, path: string, options: CallOptions = {}): Promise<RangeReader> {
    options.signal?.throwIfAborted();
    return unlessAborted(this.#open({ host: this.#target.host, share, path }), options.signal, (late) =>
      late.close(),
    );
  }

  /** Closes the files that are still open, then the sessions. Idempotent. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(smbFaults.closed({ host: this.#target.host }));
    await Promise.all(Array.from(this.#files, (file) => file.close()));
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A password that was refused is not tried again: each try may lock the account. */
  async #connect(): Promise<SmbSession> {
    this.#ending.signal.throwIfAborted();
    if (this.#refusal) throw this.#refusal;
    try {
      return await SmbSession.open(this.#target, this.#ending.signal);
    } catch (error) {
      if (hasCode(error, ...REFUSALS)) this.#refusal = error;
      throw error;
    }
  }

  async #open(place: FilePlace): Promise<RangeReader> {
    this.#ending.signal.throwIfAborted();
    const open = (session: SmbSession): Promise<RangeReader> => this.#openIn(session, place);
    return await this.#slots[0].use(open, ['SMB_CONNECTION_LOST', 'SMB_TIMED_OUT']);
  }

  async #openIn(session: SmbSession, place: FilePlace): Promise<RangeReader> {
    const handle = await session.open(place.share, place.path);
    const file = new SmbFile(place, handle, { slots: this.#slots, reconnectMs: this.#reconnectMs });
    this.#files.add(file);
    return { size: file.size, read: file.read.bind(file), close: () => this.#closeFile(file) };
  }

  #closeFile(file: RangeReader): Promise<void> {
    this.#files.delete(file);
    return file.close();
  }
}
