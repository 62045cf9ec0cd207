/**
 * One SSH connection that is logged on, and the channels it carries: a subsystem such as SFTP, or a connection passed on
 * to a port. RFC 4253, 4254.
 *
 * The transport is the library's (ssh2). Here is what it leaves open: the host key is checked before anything is sent, every
 * wait has an end, and whatever ends the connection becomes one fault, which everything that depends on it sees.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AnyAuthMethod, Client, ClientChannel } from 'ssh2';
import { isFault, withTimeout, unlessAborted, type Fault } from '../base/index.ts';
import { sshFaults } from './faults.ts';
import { hostKeyAlgorithms, hostKeyOf } from './host-key.ts';
import { ALGORITHMS } from './native-crypto.ts';
import { openSocket } from './socket.ts';
import { HostKeyRefusal, type Pins } from './trust.ts';

export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** For the TCP connection, and again for key exchange and log-on. */
  readonly connectTimeoutMs: number;
  /** How long the opening of a channel may take. */
  readonly answerTimeoutMs: number;
}

type ClientError = Error & { readonly level?: string };

/** Finds out about a peer that went away in silence, and keeps a firewall from forgetting an idle connection. */
const KEEP_ALIVE_MS = 15_000;
const KEEP_ALIVES_MISSED_MAX = 3;

export class SshConnection {
  readonly #target: ConnectionTarget;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #ending = new AbortController();

  private constructor(target: ConnectionTarget, client: Client, socket: Socket) {
    this.#target = target;
    this.#client = client;
    this.#socket = socket;
    client.on('error', (error) => this.#fail(error.message, error));
    client.on('close', () => this.#fail('it was cut'));
  }

  /**
   * Throws `HostKeyRefusal`, `SSH_UNREACHABLE`, `SSH_HANDSHAKE_FAILED`, `SSH_LOGON_FAILED` and the signal's reason. A key of
   * another type than the pinned one is no reason to give up: the server may have that one too, and is asked for it.
   */
  static async open(
    target: ConnectionTarget,
    pins: Pins,
    methods: readonly AnyAuthMethod[],
    signal: AbortSignal,
  ): Promise<SshConnection> {
    let refusal: HostKeyRefusal | undefined;
    for (let { types } = pins; types.length > 0;) {
      try {
        return await SshConnection.#attempt(target, { ...pins, types }, methods, signal);
      } catch (error) {
        if (refusal && isFault(error) && error.code === 'SSH_HANDSHAKE_FAILED') break;
        if (!(error instanceof HostKeyRefusal)) throw error;
        refusal = error;
        if (error.verdict !== 'changed') break;
        const shown = error.key.type;
        types = types.includes(shown) ? types.filter((type) => type !== shown) : [];
      }
    }
    throw refusal!;
  }

  /** Aborts when the connection ends, with the fault that says why. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  get usable(): boolean {
    return !this.#ending.signal.aborted;
  }

  /** Throws `SSH_SUBSYSTEM_REFUSED`, `SSH_CONNECTION_LOST`, `SSH_TIMED_OUT`, and the signal's reason. */
  subsystem(name: string, signal?: AbortSignal): Promise<Duplex> {
    return this.#channel(
      `the start of ${name}`,
      (done) => this.#client.subsys(name, done),
      (reason) => sshFaults.subsystemRefused({ host: this.#target.host, name, reason }),
      signal,
    );
  }

  /** A connection from the server on to `host:port`. Throws `SSH_FORWARD_REFUSED` and as `subsystem`. */
  forward(host: string, port: number, signal?: AbortSignal): Promise<Duplex> {
    const target = `${host}:${port}`;
    return this.#channel(
      `a connection to ${target}`,
      (done) => this.#client.forwardOut('127.0.0.1', 0, host, port, done),
      (reason) => sshFaults.forwardRefused({ host: this.#target.host, target, reason }),
      signal,
    );
  }

  /** Breaks what is under way. Idempotent. */
  close(): void {
    this.#client.end();
    this.#fail('it was closed');
  }

  /** Ends the connection for a reason of the caller's; everything that depends on it sees `fault`. */
  fail(fault: Fault): void {
    this.#ending.abort(fault);
    this.#socket.destroy();
  }

  static async #attempt(
    target: ConnectionTarget,
    pins: Pins,
    methods: readonly AnyAuthMethod[],
    signal: AbortSignal,
  ): Promise<SshConnection> {
    // Loaded here: most runs speak no SSH, and it is 30 modules.
    const { default: ssh2 } = await import('ssh2');
    const socket = await openSocket(target, signal);
    const client = new ssh2.Client();
    try {
      const ready = loggedOn(client, socket, target, pins, methods);
      await unlessAborted(ready, signal);
      return new SshConnection(target, client, socket);
    } catch (error) {
      client.on('error', () => undefined);
      socket.destroy();
      throw error;
    }
  }

  async #channel(
    what: string,
    start: (done: (error: Error | undefined, channel: ClientChannel) => void) => unknown,
    refused: (reason: string) => Fault,
    signal: AbortSignal | undefined,
  ): Promise<Duplex> {
    this.ended.throwIfAborted();
    const { host, answerTimeoutMs } = this.#target;
    const opening = new Promise<Duplex>((resolve, reject) => {
      start((error, channel) => (error ? reject(refused(error.message)) : resolve(channel)));
    });
    const waiting = signal ? AbortSignal.any([signal, this.ended]) : this.ended;
    using deadline = withTimeout(answerTimeoutMs, what, waiting);
    try {
      return await unlessAborted(opening, deadline.signal, (late) => late.destroy());
    } catch (error) {
      waiting.throwIfAborted();
      if (!deadline.signal.aborted) throw error;
      const fault = sshFaults.timedOut({ host, what, seconds: answerTimeoutMs / 1000 }, { cause: error });
      this.fail(fault);
      throw fault;
    }
  }

  #fail(reason: string, cause?: unknown): void {
    if (!this.usable) return;
    this.fail(sshFaults.connectionLost({ host: this.#target.host, reason }, { cause }));
  }
}

function loggedOn(
  client: Client,
  socket: Socket,
  target: ConnectionTarget,
  pins: Pins,
  methods: readonly AnyAuthMethod[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const notes: string[] = [];
    client.once('ready', resolve);
    client.once('close', () => reject(unreachable(target, 'the server ended the connection')));
    client.on('error', (error: ClientError) => {
      // An agent that is not there is no failure while there are other methods; it is told should they fail.
      if (error.level === 'agent') notes.push(`; the agent: ${error.message}`);
      else reject(openingFault(target, error, methods, notes.join('')));
    });
    client.connect({
      sock: socket,
      username: target.user,
      readyTimeout: target.connectTimeoutMs,
      keepaliveInterval: KEEP_ALIVE_MS,
      keepaliveCountMax: KEEP_ALIVES_MISSED_MAX,
      algorithms: { ...ALGORITHMS, serverHostKey: hostKeyAlgorithms(pins.types) },
      authHandler: [...methods],
      hostVerifier: (blob: Buffer) => {
        const key = hostKeyOf(blob);
        const verdict = pins.verdict(key);
        if (verdict !== 'trusted') reject(new HostKeyRefusal(key, verdict));
        return verdict === 'trusted';
      },
    });
  });
}

function openingFault(
  target: ConnectionTarget,
  error: ClientError,
  methods: readonly AnyAuthMethod[],
  more: string,
): Fault {
  const { host, port, user } = target;
  const cause = { cause: error };
  if (error.level === 'client-authentication') {
    const names = methods.map(({ type }) => (type === 'publickey' ? 'key' : type)).join(', ');
    return sshFaults.logonFailed({ host, user, methods: names, more }, cause);
  }
  const ended = /lost|closed|ended|reset|timed out/i.test(error.message);
  if (error.level === 'client-socket' || error.level === 'client-timeout' || ended) {
    return unreachable(target, error.message, error);
  }
  return sshFaults.handshakeFailed({ host, port, reason: error.message }, cause);
}

function unreachable({ host, port }: ConnectionTarget, reason: string, cause?: unknown): Fault {
  return sshFaults.unreachable({ host, port, reason }, { cause });
}
