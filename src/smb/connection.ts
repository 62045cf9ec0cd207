/**
 * One TCP connection: requests go out, answers come back in any order and find their request by its message id.
 *
 * Nothing an answer claims is trusted before it is checked: its length, its id, the flag that says it is one, that it was
 * encrypted once a log-on is done. Whatever is wrong ends the connection, with the same fault for every request under way;
 * nothing waits longer than the answer timeout.
 */
import type { Socket } from 'node:net';
import { failureReason, isFault, viewOf, type Fault } from '../base/index.ts';
import { CreditWindow } from './credits.ts';
import { dial, type ConnectionTarget } from './dial.ts';
import { smbFaults } from './faults.ts';
import {
  COMMAND,
  emptyRequest,
  ENCRYPTED_MESSAGE,
  HEADER_FLAG,
  messageHeader,
  PLAIN_MESSAGE,
  transformHeader,
  type Command,
} from './format.ts';
import { FrameReader, WholeFrames } from './frames.ts';
import type { Landing } from './landing.ts';
import { HEADER_BYTES, Malformed, writeBody, type Reply } from './message.ts';
import { isFollowedByData } from './read.ts';
import { SealedFrames } from './sealed-frames.ts';
import { statusName, STATUS } from './status.ts';
import type { Sealing } from './transform.ts';

/** What carries the bytes of a connection; those that arrive are given to `push`. */
export type Carrier = Pick<Socket, 'write' | 'destroy'>;

export interface Request {
  readonly command: Command;
  readonly body: Uint8Array;
  readonly treeId?: number;
  /** Credits; default 1. */
  readonly charge?: number;
  /** Of a READ: where its data goes. */
  readonly landing?: Landing;
  /** Sees the message as it is sent, before encryption. */
  readonly observe?: (message: Uint8Array) => void;
}

interface Pending {
  readonly command: Command;
  readonly charge: number;
  readonly landing: Landing | undefined;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  /** The server said "not yet", which it may say once. */
  interim: boolean;
}

/** Log-on answers are small; a token of Kerberos with many groups has up to 64 KiB. */
const FRAME_BYTES_BEFORE_LOGON = 128 * 1024;
/** Finds out about a peer that went away in silence, and keeps a firewall from forgetting an idle connection. */
const ECHO_AFTER_MS = 60_000;

export class SmbConnection {
  readonly target: ConnectionTarget;
  readonly #carrier: Carrier;
  readonly #frames: FrameReader;
  readonly #credits = new CreditWindow();
  readonly #pending = new Map<number, Pending>();
  #sealing: Sealing | undefined;
  #sessionId = 0n;
  #failure: Fault | undefined;
  #echoTimer: NodeJS.Timeout;

  constructor(target: ConnectionTarget, carrier: Carrier) {
    this.target = target;
    this.#carrier = carrier;
    this.#frames = new FrameReader(
      FRAME_BYTES_BEFORE_LOGON,
      new WholeFrames((frame) => this.#receivePlain(frame)),
    );
    this.#echoTimer = setInterval(() => this.#echoWhenIdle(), ECHO_AFTER_MS).unref();
  }

  /** Throws `SMB_UNREACHABLE`, and the signal's reason. */
  static async open(target: ConnectionTarget, signal: AbortSignal): Promise<SmbConnection> {
    let connection: SmbConnection | undefined;
    const socket = await dial(target, (bytes) => connection?.push(bytes), signal);
    connection = new SmbConnection(target, socket);
    connection.#watch(socket);
    return connection;
  }

  get usable(): boolean {
    return this.#failure === undefined;
  }

  get sessionId(): bigint {
    return this.#sessionId;
  }

  /** Credits the server has granted, in use or not: they bound the size of one read. */
  get creditsHeld(): number {
    return this.#credits.held;
  }

  /** The server names the session in its first answer to the log-on. */
  enterSession(sessionId: bigint): void {
    this.#sessionId = sessionId;
  }

  /** From now on everything is encrypted, both ways, and messages may have `frameBytesMax` bytes. */
  protect(sealing: Sealing, frameBytesMax: number): void {
    this.#sealing = sealing;
    this.#frames.frameBytesMax = frameBytesMax + transformHeader.size;
    this.#frames.sink = new SealedFrames(sealing, {
      landingFor: (start, behind) => this.#landingFor(start, behind),
      receive: (message, landedBytes) => this.#receive(message, landedBytes),
      clearText: (head) => this.#clearText(head),
      tampered: () => smbFaults.tampered({ host: this.target.host }),
    });
  }

  /**
   * Sends one request and resolves with its answer, whatever its status says. Throws `SMB_CONNECTION_LOST`,
   * `SMB_TIMED_OUT`, `SMB_TAMPERED`, `SMB_PROTOCOL_BROKEN`.
   */
  async request(request: Request): Promise<Reply> {
    const charge = request.charge ?? 1;
    const turn = this.#credits.take(charge);
    if (this.#credits.starved) this.fail(this.#lost('the server grants no credits'));
    const messageId = await turn;
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const { command, landing } = request;
      const timer = setTimeout(() => this.#expire(command), this.target.answerTimeoutMs);
      this.#pending.set(messageId, { command, charge, landing, resolve, reject, timer, interim: false });
      this.#send(this.#encode(request, messageId, charge), request.observe);
    });
  }

  /** Ends the connection; everything under way fails with `fault`. */
  fail(fault: Fault): void {
    if (this.#failure) return;
    this.#failure = fault;
    clearInterval(this.#echoTimer);
    this.#carrier.destroy();
    for (const { timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(fault);
    }
    this.#pending.clear();
    this.#credits.fail(fault);
  }

  close(): void {
    this.fail(this.#lost('it was closed'));
  }

  /** Bytes from the socket; whatever is wrong with them ends the connection. */
  push(bytes: Uint8Array): void {
    if (this.#failure) return;
    try {
      this.#frames.push(bytes);
    } catch (error) {
      this.fail(this.faultOf(error));
    }
  }

  /** What a damaged answer is to the user. */
  faultOf(error: unknown): Fault {
    if (isFault(error)) return error;
    const { host } = this.target;
    const reason = error instanceof Error ? error.message : String(error);
    return smbFaults.protocolBroken({ host, reason }, { cause: error });
  }

  #watch(socket: Socket): void {
    socket.on('error', (error) => this.fail(this.#lost(failureReason(error), error)));
    socket.on('end', () => this.fail(this.#lost('the server ended it')));
    socket.on('close', () => this.fail(this.#lost('it was cut')));
  }

  #encode(request: Request, messageId: number, charge: number): Uint8Array {
    const message = new Uint8Array(HEADER_BYTES + request.body.length);
    messageHeader.write(message, {
      protocolId: PLAIN_MESSAGE,
      structureSize: HEADER_BYTES,
      creditCharge: charge,
      command: COMMAND[request.command],
      credits: this.#credits.wanted(charge),
      messageId: BigInt(messageId),
      treeId: request.treeId ?? 0,
      sessionId: this.#sessionId,
    });
    message.set(request.body, HEADER_BYTES);
    return message;
  }

  #send(message: Uint8Array, observe: Request['observe']): void {
    observe?.(message);
    const frame = this.#sealing ? this.#sealing.seal(message) : message;
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(frame.length);
    this.#carrier.write(Buffer.concat([prefix, frame]));
  }

  #receivePlain(frame: Uint8Array): void {
    const isBox = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true) === ENCRYPTED_MESSAGE;
    if (isBox) throw new Malformed('an encrypted message before the log-on');
    this.#receive(frame);
  }

  /** Of a message that only begins: the place for its data, when it is a READ under way that has succeeded. */
  #landingFor(start: Uint8Array, behind: number): Landing | undefined {
    const { messageId, status } = messageHeader.read(start);
    const landing = this.#pending.get(Number(messageId))?.landing;
    if (!landing || status !== STATUS.SUCCESS || behind > landing.size) return undefined;
    return isFollowedByData(start, behind) ? landing : undefined;
  }

  #receive(bytes: Uint8Array, landedBytes?: number): void {
    const header = messageHeader.read(bytes);
    if (header.protocolId !== PLAIN_MESSAGE || header.structureSize !== HEADER_BYTES) {
      throw new Malformed('no SMB2 header');
    }
    if ((header.flags & HEADER_FLAG.response) === 0) throw new Malformed('a request instead of an answer');
    // Chains answer chains, and none is ever sent.
    if (header.nextCommand !== 0) throw new Malformed('a chain of answers');
    const pending = this.#pendingFor(header.messageId);
    if (COMMAND[pending.command] !== header.command) throw new Malformed('an answer to another command');
    this.#credits.grant(header.credits);
    if (isInterim(header)) return noteInterim(pending);
    const landed = landedBytes === undefined ? {} : { landedBytes };
    this.#settle(Number(header.messageId), pending, { status: header.status, bytes, ...landed });
  }

  /** A server that forgot the session has no key to say so under. Nothing else is acceptable in clear text. */
  #clearText(head: Uint8Array): Fault {
    const { status } = messageHeader.fields;
    const said = status.get(viewOf(head), status.offset, true);
    const forgotten = said === STATUS.USER_SESSION_DELETED || said === STATUS.NETWORK_SESSION_EXPIRED;
    return forgotten ? this.#lost(statusName(said)) : smbFaults.tampered({ host: this.target.host });
  }

  #pendingFor(messageId: bigint): Pending {
    const pending = this.#pending.get(Number(messageId));
    if (!pending) throw new Malformed('an answer to nothing that was asked');
    return pending;
  }

  #settle(messageId: number, pending: Pending, reply: Reply): void {
    this.#pending.delete(messageId);
    clearTimeout(pending.timer);
    this.#echoTimer.refresh();
    this.#credits.settle(pending.charge);
    pending.resolve(reply);
    if (this.#credits.starved) this.fail(this.#lost('the server grants no credits'));
  }

  #expire(command: Command): void {
    const seconds = Math.round(this.target.answerTimeoutMs / 1000);
    this.fail(smbFaults.timedOut({ host: this.target.host, command, seconds }));
  }

  #echoWhenIdle(): void {
    if (!this.#sealing || this.#pending.size > 0) return;
    // Only that it is answered matters; a failure has ended the connection already.
    this.request({ command: 'ECHO', body: writeBody(emptyRequest, {}, [], false) }).catch(() => undefined);
  }

  #lost(reason: string, cause?: unknown): Fault {
    return smbFaults.connectionLost({ host: this.target.host, reason }, { cause });
  }
}

function isInterim({ status, flags }: { status: number; flags: number }): boolean {
  return status === STATUS.PENDING && (flags & HEADER_FLAG.async) !== 0;
}

/** 3.3.4.2: once. A server that says it again and again would keep a request alive for ever. */
function noteInterim(pending: Pending): void {
  if (pending.interim) throw new Malformed('a second interim answer');
  pending.interim = true;
}
