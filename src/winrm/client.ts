/**
 * Typed CIM operations over WS-Management: {@link openWinrm} → a session, which `src/hyperv` builds on.
 *
 *   WinrmSession      get, enumerate, query, invoke; what is repeated after a break and what is not
 *     Pool            a few connections, one request at a time on each
 *       Connection    log-on and sealing
 *
 * Reads are repeated once on a fresh connection. A method that may have changed something is repeated only when no byte of
 * the request had left; otherwise `WINRM_EFFECT_UNKNOWN` makes the caller look for its effect.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { parseAddress, type Address } from './address.ts';
import { Credentials } from './auth/credentials.ts';
import { decodeInstance, decodeOutput } from './cim/instance.ts';
import { encodeParameters } from './cim/parameters.ts';
import { winrmFaults } from './faults.ts';
import type { Delivery } from './http/exchange.ts';
import { Pool } from './http/pool.ts';
import type { CimClass, CimInstance, CimReference, MethodInput, MethodOutput } from './schema.ts';
import type { CimSession } from './session.ts';
import { enumerateBody, pullBody, readPage, releaseBody, type Page } from './soap/enumeration.ts';
import {
  checkRelation,
  readEnvelope,
  writeEnvelope,
  type EnvelopeSettings,
  type SoapRequest,
} from './soap/envelope.ts';
import type { HostIdentity } from './soap/identify.ts';
import { ACTION, resourceUri } from './soap/names.ts';
import { faultFrom } from './soap/soap-fault.ts';
import type { XmlElement } from './soap/xml.ts';

export interface WinrmOptions {
  /** `http://host:5985/wsman` or `https://host:5986/wsman`; port and path may be left out. */
  readonly url: string;
  readonly credentials: {
    /** `DOMAIN\name`, `name@domain`, or `name` for an account of the host. */
    readonly user: string;
    readonly password: string | (() => Promise<string>);
  };
  /** Default `root/virtualization/v2`. */
  readonly namespace?: string;
  /** Connections at most, hence requests at a time. Default 2. */
  readonly sessions?: number;
  /** What the host is told; the answer is awaited 30 s longer. Default and usual maximum of a host: 60. */
  readonly operationTimeoutSeconds?: number;
  /** Default 512000, what a host allows by default. */
  readonly maxEnvelopeBytes?: number;
  /** Instances asked for at once. Default 64. */
  readonly pageSize?: number;
  /** Of texts, which the host may disregard. Default `en-US`. */
  readonly language?: string;
  /** PEM of the authorities to trust for https instead of the system's. */
  readonly ca?: string;
  /** SHA-256 of the only certificate to trust for https. */
  readonly fingerprint256?: string;
  /** Cancels the opening. */
  readonly signal?: AbortSignal;
}

/** Beyond the operation timeout, for the way there and back. */
const ANSWER_GRACE_MS = 30_000;
/** An enumeration of a host never comes near; a host that never ends one is stopped here. */
const INSTANCES_MAX = 1_000_000;
const EMPTY_PAGES_MAX = 100;
const RELEASE_TIMEOUT_MS = 5_000;

/** Logs on once, so that a wrong password or address shows here. Throws the faults of `Connection.open`. */
export async function openWinrm(options: WinrmOptions): Promise<WinrmSession> {
  const session = new WinrmSession(options);
  try {
    await session.logOn(options.signal);
  } catch (error) {
    await session.close();
    throw error;
  }
  return session;
}

interface Attempt {
  readonly resource: string;
  readonly delivery: Delivery;
  readonly fresh?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export class WinrmSession implements CimSession {
  readonly #address: Address;
  readonly #user: string;
  readonly #namespace: string;
  readonly #pageSize: number;
  readonly #settings: EnvelopeSettings;
  readonly #pool: Pool;
  #identity: HostIdentity | undefined;

  constructor(options: WinrmOptions) {
    this.#address = parseAddress(options.url);
    this.#user = options.credentials.user;
    this.#namespace = (options.namespace ?? 'root/virtualization/v2').replaceAll('\\', '/');
    this.#pageSize = options.pageSize ?? 64;
    this.#settings = {
      to: this.#address.text,
      language: options.language ?? 'en-US',
      maxEnvelopeBytes: options.maxEnvelopeBytes ?? 512_000,
      operationTimeoutSeconds: options.operationTimeoutSeconds ?? 60,
    };
    this.#pool = new Pool(
      {
        address: this.#address,
        credentials: new Credentials(this.#user, options.credentials.password),
        trust: { ca: options.ca, fingerprint256: options.fingerprint256 },
        // Twice what was agreed, for a host that counts characters and not bytes; then something is wrong.
        bodyBytesMax: 2 * this.#settings.maxEnvelopeBytes + 64 * 1024,
        timeoutMs: this.#settings.operationTimeoutSeconds * 1000 + ANSWER_GRACE_MS,
      },
      options.sessions ?? 2,
    );
  }

  /** What the host says of itself; `undefined` when it would not. */
  get identity(): HostIdentity | undefined {
    return this.#identity;
  }

  async logOn(signal?: AbortSignal): Promise<void> {
    this.#identity = await this.#pool.use(async (connection) => connection.identity, { signal });
  }

  async get<C extends CimClass>(
    cls: C,
    keys: CimReference['keys'],
    { signal }: CallOptions = {},
  ): Promise<CimInstance<C>> {
    const request = { action: ACTION.get, resourceUri: this.#uri(cls.name), selectors: keys, body: '' };
    return await this.#reading((fresh) => {
      const attempt = { resource: cls.name, delivery: { mayHaveRun: false }, fresh, signal };
      return this.#ask(request, attempt, (content) => decodeInstance(cls, demanded(content)));
    });
  }

  enumerate<C extends CimClass>(cls: C, options: CallOptions = {}): AsyncIterable<CimInstance<C>> {
    return this.#instances(cls, cls.name, undefined, options);
  }

  /** A host takes WQL only on the resource `*`; a class there is answered with a fault (recordings, `/*`). */
  query<C extends CimClass>(cls: C, text: string, options: CallOptions = {}): AsyncIterable<CimInstance<C>> {
    return this.#instances(cls, '*', text, options);
  }

  async invoke<C extends CimClass, M extends keyof C['methods'] & string>(
    cls: C,
    keys: CimReference['keys'],
    method: M,
    input: MethodInput<C, M>,
    { signal }: CallOptions = {},
  ): Promise<MethodOutput<C, M>> {
    const spec = cls.methods[method]!;
    const uri = this.#uri(cls.name);
    const parameters = encodeParameters(
      spec.input,
      input as Readonly<Record<string, unknown>>,
      this.#namespace,
    );
    const request = {
      action: `${uri}/${method}`,
      resourceUri: uri,
      selectors: keys,
      body: `<p:${method}_INPUT>${parameters}</p:${method}_INPUT>`,
    };
    const resource = `${cls.name}.${method}`;
    const attempt = (fresh: boolean, delivery: Delivery): Promise<MethodOutput<C, M>> =>
      this.#ask(request, { resource, delivery, fresh, signal }, (content) =>
        decodeOutput(cls, method, demanded(content)),
      );
    if (spec.repeatable) return await this.#reading((fresh) => attempt(fresh, { mayHaveRun: false }));
    return await onceOnly(resource, attempt, signal);
  }

  async close(): Promise<void> {
    this.#pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  toJSON(): Record<string, string> {
    return { url: this.#address.text, user: this.#user, namespace: this.#namespace };
  }

  #uri(className: string): string {
    return resourceUri(this.#namespace, className);
  }

  async *#instances<C extends CimClass>(
    cls: C,
    resource: string,
    query: string | undefined,
    { signal }: CallOptions,
  ): AsyncGenerator<CimInstance<C>> {
    const uri = this.#uri(resource);
    let page = await this.#reading((fresh) => this.#firstPage(uri, cls.name, query, fresh, signal));
    let count = 0;
    let emptyPages = 0;
    try {
      for (;;) {
        for (const item of page.items) yield decodeInstance(cls, item);
        count += page.items.length;
        emptyPages = page.items.length === 0 ? emptyPages + 1 : 0;
        if (page.context === undefined) return;
        if (count > INSTANCES_MAX || emptyPages > EMPTY_PAGES_MAX) {
          throw winrmFaults.protocolBroken({ reason: `the enumeration of ${cls.name} does not end` });
        }
        // Not repeated after a break: what the lost page held would be missing. The caller starts again.
        page = await this.#nextPage(uri, cls.name, page.context, signal);
      }
    } finally {
      if (page.context !== undefined) await this.#release(uri, cls.name, page.context);
    }
  }

  #firstPage(
    uri: string,
    resource: string,
    query: string | undefined,
    fresh: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Page> {
    const request = {
      action: ACTION.enumerate,
      resourceUri: uri,
      body: enumerateBody(this.#pageSize, query),
    };
    return this.#ask(request, { resource, delivery: { mayHaveRun: false }, fresh, signal }, (content) =>
      readPage(content),
    );
  }

  #nextPage(uri: string, resource: string, context: string, signal: AbortSignal | undefined): Promise<Page> {
    const request = { action: ACTION.pull, resourceUri: uri, body: pullBody(context, this.#pageSize) };
    return this.#ask(request, { resource, delivery: { mayHaveRun: false }, signal }, (content) =>
      readPage(content, context),
    );
  }

  /** The host would keep it for minutes otherwise. Failing to is no failure of the enumeration. */
  async #release(uri: string, resource: string, context: string): Promise<void> {
    const request = { action: ACTION.release, resourceUri: uri, body: releaseBody(context) };
    const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS);
    await this.#ask(request, { resource, delivery: { mayHaveRun: false }, signal }, () => undefined).catch(
      () => undefined,
    );
  }

  /** Repeats `attempt` once when its connection broke. */
  async #reading<T>(attempt: (fresh: boolean) => Promise<T>): Promise<T> {
    try {
      return await attempt(false);
    } catch (error) {
      if (!hasCode(error, 'WINRM_CONNECTION_LOST')) throw error;
      return await attempt(true);
    }
  }

  async #ask<T>(
    request: SoapRequest,
    { resource, delivery, fresh, signal }: Attempt,
    read: (content: XmlElement | undefined) => T,
  ): Promise<T> {
    const { messageId, xml } = writeEnvelope(request, this.#settings);
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
        ...(fresh === undefined ? {} : { fresh }),
      },
    );
    const reply = readEnvelope(answer);
    checkRelation(reply, messageId);
    if (!reply.fault) return read(reply.content);
    const fault = faultFrom(reply.fault, {
      host: this.#address.host,
      user: this.#user,
      resource,
      seconds: operationTimeoutSeconds,
      limitBytes: maxEnvelopeBytes,
    });
    // The host's own verdict; only one that ran out of time does not know whether the method still goes on.
    if (fault.code !== 'WINRM_TIMED_OUT') delivery.mayHaveRun = false;
    throw fault;
  }
}

async function onceOnly<T>(
  method: string,
  attempt: (fresh: boolean, delivery: Delivery) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let fresh = false; ; fresh = true) {
    const delivery: Delivery = { mayHaveRun: false };
    try {
      return await attempt(fresh, delivery);
    } catch (error) {
      if (signal?.aborted) throw error;
      if (delivery.mayHaveRun) throw winrmFaults.effectUnknown({ method }, { cause: error });
      if (fresh || !hasCode(error, 'WINRM_CONNECTION_LOST')) throw error;
    }
  }
}

function demanded(content: XmlElement | undefined): XmlElement {
  if (!content) throw winrmFaults.protocolBroken({ reason: 'its body is empty' });
  return content;
}
