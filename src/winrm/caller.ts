/**
 * One SOAP call over the pool: envelope out, envelope in, related, a fault made typed. And the rule of repeating:
 *
 *   read     repeated once on a fresh connection after a break
 *   once     not repeated: the caller starts again from an earlier point
 *   change   repeated only when no byte of the request had left; otherwise, without the host's own verdict, its effect is
 *            unknown and `WINRM_EFFECT_UNKNOWN` makes the caller look for it
 *
 * A host that has forgotten the log-on says so with a 401 instead of running the request: a `read` and a `once` are then
 * sent once more on a connection that logs on anew. A `change` is not: a 401 is not sealed, so what stands between may say it
 * after the host ran the method. `WINRM_SESSION_EXPIRED` makes the caller look for the effect before it asks again.
 */
import { hasCode } from '../base/index.ts';
import { winrmFaults } from './faults.ts';
import type { Delivery } from './http/exchange.ts';
import type { Pool } from './http/pool.ts';
import {
  checkRelation,
  readEnvelope,
  writeEnvelope,
  type EnvelopeSettings,
  type SoapRequest,
} from './soap/envelope.ts';
import { faultFrom } from './soap/soap-fault.ts';
import type { XmlElement } from './soap/xml.ts';

export interface Call extends SoapRequest {
  /** What is asked, for faults: a class, or `Class.Method`. */
  readonly resource: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Peer {
  readonly host: string;
  readonly user: string;
}

/**
 * What a recorder is told: the XML of a request and of the answer to it, a fault included. Log-ons, and requests that stayed
 * without an answer, are not among them. It is called before the answer is read, so that one nobody understands is heard too.
 */
export type WireTap = (exchange: { readonly request: string; readonly answer: string }) => void;

type Read<T> = (content: XmlElement | undefined) => T;

export class SoapCaller {
  readonly #pool: Pool;
  readonly #settings: EnvelopeSettings;
  readonly #peer: Peer;
  readonly #tap: WireTap | undefined;

  constructor(pool: Pool, settings: EnvelopeSettings, peer: Peer, tap?: WireTap) {
    this.#pool = pool;
    this.#settings = settings;
    this.#peer = peer;
    this.#tap = tap;
  }

  async read<T>(call: Call, read: Read<T>): Promise<T> {
    try {
      return await this.once(call, read);
    } catch (error) {
      if (!isBreak(error)) throw error;
      return await this.#attempt(call, read, true);
    }
  }

  async once<T>(call: Call, read: Read<T>): Promise<T> {
    return await this.#attempt(call, read, false);
  }

  /** A caller that cancels gets its own reason, and looks for the effect as after `WINRM_EFFECT_UNKNOWN`. */
  async change<T>(call: Call, read: Read<T>): Promise<T> {
    for (let fresh = false; ; fresh = true) {
      const delivery: Delivery = { mayHaveRun: false };
      try {
        return await this.#send(call, read, delivery, fresh);
      } catch (error) {
        if (call.signal?.aborted || (delivery.mayHaveRun && isExpiry(error))) throw error;
        if (delivery.mayHaveRun) throw winrmFaults.effectUnknown({ method: call.resource }, { cause: error });
        // Without a byte sent, a ticket has expired, or the connection broke while it was idle.
        if (fresh || !(isBreak(error) || isExpiry(error))) throw error;
      }
    }
  }

  async #attempt<T>(call: Call, read: Read<T>, fresh: boolean): Promise<T> {
    try {
      return await this.#send(call, read, { mayHaveRun: false }, fresh);
    } catch (error) {
      if (!isExpiry(error)) throw error;
      return await this.#send(call, read, { mayHaveRun: false }, true);
    }
  }

  async #send<T>(call: Call, read: Read<T>, delivery: Delivery, fresh: boolean): Promise<T> {
    const { resource, signal } = call;
    const { messageId, xml } = writeEnvelope(call, this.#settings);
    const { maxEnvelopeBytes, operationTimeoutSeconds } = this.#settings;
    // A host answers a larger one with a bare HTTP status, after which nobody knows whether it ran.
    if (Buffer.byteLength(xml) > maxEnvelopeBytes) {
      throw winrmFaults.unsendable({
        what: resource,
        reason: `the request has more than ${maxEnvelopeBytes} bytes`,
      });
    }
    const answer = await this.#pool.use(
      (connection) => connection.exchange(xml, { signal, delivery, resource }),
      {
        signal,
        fresh,
      },
    );
    this.#tap?.({ request: xml, answer });
    const reply = readEnvelope(answer);
    checkRelation(reply, messageId);
    if (!reply.fault) return read(reply.content);
    const context = {
      ...this.#peer,
      resource,
      seconds: operationTimeoutSeconds,
      limitBytes: maxEnvelopeBytes,
    };
    const fault = faultFrom(reply.fault, context);
    // The host's own verdict; only one that ran out of time does not know whether the method still goes on.
    if (fault.code !== 'WINRM_TIMED_OUT') delivery.mayHaveRun = false;
    throw fault;
  }
}

function isExpiry(error: unknown): boolean {
  return hasCode(error, 'WINRM_SESSION_EXPIRED');
}

function isBreak(error: unknown): boolean {
  return hasCode(error, 'WINRM_CONNECTION_LOST');
}
