/**
 * A server to which SSH connections are made: who it is, how it is recognised, how we log on. What it refused once, a log-on
 * or our trust, is not tried again: each try of a password may lock the account.
 */
import { hasCode, Mutex, type Fault } from '../base/index.ts';
import { SshConnection, type ConnectionTarget } from './connection.ts';
import { authMethods, type LogOnMethods } from './log-on.ts';
import { confirmNewKey, HostKeyRefusal, loadPins, type HostKeyPin } from './trust.ts';

export interface SshOptions {
  /** Name or address. */
  readonly host: string;
  /** Default 22. */
  readonly port?: number;
  /** As sshd on Windows knows it: `name`, or `domain\name`. */
  readonly user: string;
  readonly hostKey: HostKeyPin;
  readonly logOn: LogOnMethods;
  /** How long a connection may take, and again key exchange and log-on. Default 15. */
  readonly connectTimeoutSeconds?: number;
  /** How long any one answer may take. Default 60. */
  readonly answerTimeoutSeconds?: number;
}

const REFUSALS = ['SSH_HOST_KEY_UNKNOWN', 'SSH_HOST_KEY_CHANGED', 'SSH_HOST_KEY_REVOKED', 'SSH_LOGON_FAILED'];

export class SshServer {
  readonly target: ConnectionTarget;
  readonly #hostKey: HostKeyPin;
  readonly #methods: LogOnMethods;
  /** One log-on at a time: a person is asked once, and a refusal stops the others. */
  readonly #door = new Mutex();
  #refusal: Fault | undefined;

  constructor(options: SshOptions) {
    const { host, port = 22, user, connectTimeoutSeconds = 15, answerTimeoutSeconds = 60 } = options;
    this.target = {
      host,
      port,
      user,
      connectTimeoutMs: connectTimeoutSeconds * 1000,
      answerTimeoutMs: answerTimeoutSeconds * 1000,
    };
    this.#hostKey = options.hostKey;
    this.#methods = options.logOn;
  }

  /** Throws the faults of `SSH_…` that concern a log-on, and the signal's reason. */
  connect(signal: AbortSignal): Promise<SshConnection> {
    return this.#door.run(async () => {
      signal.throwIfAborted();
      if (this.#refusal) throw this.#refusal;
      try {
        return await this.#open(signal);
      } catch (error) {
        if (hasCode(error, ...REFUSALS)) this.#refusal = error;
        throw error;
      }
    });
  }

  /** The methods are asked for first: a person types a passphrase before the server's patience begins to run out. */
  async #open(signal: AbortSignal): Promise<SshConnection> {
    const { host, user } = this.target;
    const methods = await authMethods(host, user, this.#methods);
    const attempt = async (): Promise<SshConnection> =>
      SshConnection.open(this.target, await loadPins(this.#hostKey, this.target), methods, signal);
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof HostKeyRefusal)) throw error;
      await confirmNewKey(this.#hostKey, this.target, error);
    }
    return await attempt();
  }
}
