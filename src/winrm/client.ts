/**
 * Typed CIM operations over WS-Management: {@link openWinrm} → a session, which `src/hyperv` builds on.
 *
 *   WinrmSession        get, enumerate, query, invoke: schema to XML and back
 *     SoapCaller        one call; what is repeated after a break and what is not
 *       Pool            a few connections, one request at a time on each
 *         Connection    log-on and sealing
 */
import {
  CURRENT_USER,
  logOnFaults,
  securityFor,
  type Mechanism,
  type SecurityProvider,
} from '../auth/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { Credentials } from '../ntlm/index.ts';
import { parseAddress, type Address } from './address.ts';
import { SoapCaller, type Call, type WireTap } from './caller.ts';
import { decodeInstance, decodeOutput } from './cim/instance.ts';
import { encodeParameters } from './cim/parameters.ts';
import { winrmFaults } from './faults.ts';
import type { LogOnMethod } from './http/log-on.ts';
import { Pool } from './http/pool.ts';
import type { ClientCertificate, SocketFactory, TlsTrust } from './http/socket.ts';
import { instancesOf } from './instances.ts';
import type { CimClass, CimInstance, CimReference, MethodInput, MethodOutput } from './schema.ts';
import type { CimSession } from './session.ts';
import { CONFIG_URI, readServiceSettings, type ServiceSettings } from './service-settings.ts';
import type { HostIdentity } from './soap/identify.ts';
import { ACTION, resourceUri } from './soap/names.ts';
import type { XmlElement } from './soap/xml.ts';

export interface WinrmOptions {
  /** `http://host:5985/wsman` or `https://host:5986/wsman`; port and path may be left out. */
  readonly url: string;
  /** Left out: whoever runs hvlift, that is the account on Windows, elsewhere the owner of the Kerberos ticket cache. */
  readonly credentials?: {
    /** `DOMAIN\name`, `name@domain`, or `name` for an account of the host. */
    readonly user: string;
    /** Asked for only when it is needed: not with a Kerberos ticket, a keytab or a client certificate. */
    readonly password: string | (() => Promise<string>);
  };
  /**
   * How to log on. Default `auto`: Kerberos when a ticket can be had (the user has a realm and the host a name), else NTLMv2.
   * `basic` and `certificate` only over https with a certificate that is checked.
   */
  readonly auth?: AuthMethod;
  /** A file with the user's Kerberos key, used instead of tickets and the password. */
  readonly keytab?: string;
  /** A log-on of the caller's own making, in place of `auth`. */
  readonly security?: SecurityProvider;
  /** For `auth: 'certificate'`, PEM. */
  readonly clientCertificate?: ClientCertificate;
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
  /** Accepts any certificate for https. Not with `basic` or `certificate`. */
  readonly insecure?: boolean;
  /** Connections unused for longer are closed. Default 60, which is less than the 120 of a Windows host. */
  readonly idleSeconds?: number;
  /** How connections are made, when not by TCP from this machine. */
  readonly createConnection?: SocketFactory;
  /** Hears every message with its answer, as they were before sealing; see {@link WireTap}. */
  readonly tap?: WireTap;
  /** Cancels the opening. */
  readonly signal?: AbortSignal;
}

export type AuthMethod = Mechanism | 'basic' | 'certificate';

/** Beyond the operation timeout, for the way there and back. */
const ANSWER_GRACE_MS = 30_000;

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

export class WinrmSession implements CimSession {
  readonly #address: Address;
  readonly #user: string;
  readonly #namespace: string;
  readonly #pageSize: number;
  readonly #pool: Pool;
  readonly #caller: SoapCaller;
  #identity: HostIdentity | undefined;

  constructor(options: WinrmOptions) {
    this.#address = parseAddress(options.url);
    this.#user = options.credentials?.user ?? CURRENT_USER;
    this.#namespace = (options.namespace ?? 'root/virtualization/v2').replaceAll('\\', '/');
    this.#pageSize = options.pageSize ?? 64;
    const settings = {
      to: this.#address.text,
      language: options.language ?? 'en-US',
      maxEnvelopeBytes: options.maxEnvelopeBytes ?? 512_000,
      operationTimeoutSeconds: options.operationTimeoutSeconds ?? 60,
    };
    this.#pool = new Pool(
      {
        address: this.#address,
        user: this.#user,
        method: methodOf(options, this.#address),
        trust: trustOf(options),
        createConnection: options.createConnection,
        // Twice what was agreed, for a host that counts characters and not bytes; then something is wrong.
        bodyBytesMax: 2 * settings.maxEnvelopeBytes + 64 * 1024,
        timeoutMs: settings.operationTimeoutSeconds * 1000 + ANSWER_GRACE_MS,
      },
      { size: options.sessions ?? 2, idleMs: (options.idleSeconds ?? 60) * 1000 },
    );
    this.#caller = new SoapCaller(
      this.#pool,
      settings,
      { host: this.#address.host, user: this.#user },
      options.tap,
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
    const call: Call = {
      action: ACTION.get,
      resourceUri: this.#uri(cls),
      selectors: keys,
      body: '',
      resource: cls.name,
      signal,
    };
    return await this.#caller.read(call, (content) => decodeInstance(cls, demanded(content)));
  }

  /** Settings of the service. Throws `WINRM_ACCESS_DENIED` for an account that is no administrator. */
  async serviceSettings({ signal }: CallOptions = {}): Promise<ServiceSettings> {
    const call: Call = {
      action: ACTION.get,
      resourceUri: CONFIG_URI,
      body: '',
      resource: 'winrm/config',
      signal,
    };
    return await this.#caller.read(call, readServiceSettings);
  }

  async *enumerate<C extends CimClass>(cls: C, { signal }: CallOptions = {}): AsyncGenerator<CimInstance<C>> {
    const enumeration = {
      resourceUri: this.#uri(cls),
      resource: cls.name,
      pageSize: this.#pageSize,
      signal,
    };
    for await (const item of instancesOf(this.#caller, enumeration)) yield decodeInstance(cls, item);
  }

  /** A host takes WQL only on the resource `*`; a class there is answered with a fault. */
  async *query<C extends CimClass>(
    cls: C,
    text: string,
    { signal }: CallOptions = {},
  ): AsyncGenerator<CimInstance<C>> {
    const resource = { resourceUri: this.#uri(cls, '*'), resource: cls.name };
    const enumeration = { ...resource, query: text, pageSize: this.#pageSize, signal };
    for await (const item of instancesOf(this.#caller, enumeration)) yield decodeInstance(cls, item);
  }

  async invoke<C extends CimClass, M extends keyof C['methods'] & string>(
    cls: C,
    keys: CimReference['keys'],
    method: M,
    input: MethodInput<C, M>,
    { signal }: CallOptions = {},
  ): Promise<MethodOutput<C, M>> {
    const spec = cls.methods[method]!;
    const uri = this.#uri(cls);
    const parameters = encodeParameters(
      spec.input,
      input as Readonly<Record<string, unknown>>,
      this.#namespace,
    );
    const call: Call = {
      action: `${uri}/${method}`,
      resourceUri: uri,
      selectors: keys,
      body: `<p:${method}_INPUT>${parameters}</p:${method}_INPUT>`,
      resource: `${cls.name}.${method}`,
      signal,
    };
    const read = (content: XmlElement | undefined): MethodOutput<C, M> =>
      decodeOutput(cls, method, demanded(content));
    return spec.repeatable ? await this.#caller.read(call, read) : await this.#caller.change(call, read);
  }

  /** Breaks what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  toJSON(): Record<string, string> {
    return { url: this.#address.text, user: this.#user, namespace: this.#namespace };
  }

  #uri(cls: CimClass, className: string = cls.name): string {
    return resourceUri(cls.namespace ?? this.#namespace, className);
  }
}

/** Throws `WINRM_METHOD_NEEDS_TLS`, `WINRM_CLIENT_CERTIFICATE_UNUSABLE`, `LOG_ON_NO_PASSWORD`. */
function methodOf(options: WinrmOptions, address: Address): LogOnMethod {
  const { auth = 'auto', insecure, clientCertificate } = options;
  if (auth !== 'basic' && auth !== 'certificate') return { kind: 'security', provider: providerOf(options) };
  const { host } = address;
  if (!address.tls || insecure) throw winrmFaults.methodNeedsTls({ method: auth, host });
  if (auth === 'basic') {
    if (!options.credentials) throw logOnFaults.noPassword({ method: 'Basic', host });
    return { kind: auth, credentials: credentialsOf(options.credentials) };
  }
  if (!clientCertificate) throw winrmFaults.clientCertificateUnusable({ reason: 'none is given' });
  return { kind: auth };
}

function providerOf({ security, credentials, auth, keytab }: WinrmOptions): SecurityProvider {
  const mechanism = auth as Mechanism | undefined;
  return security ?? securityFor(credentials && credentialsOf(credentials), { mechanism, keytab });
}

function credentialsOf({ user, password }: NonNullable<WinrmOptions['credentials']>): Credentials {
  return new Credentials(user, password);
}

function trustOf({ ca, fingerprint256, insecure, clientCertificate }: WinrmOptions): TlsTrust {
  return { ca, fingerprint256, insecure, clientCertificate };
}

function demanded(content: XmlElement | undefined): XmlElement {
  if (!content) throw winrmFaults.protocolBroken({ reason: 'its body is empty' });
  return content;
}
