/**
 * How a connection proves who it is for, up to the answer to its Identify.
 *
 *   Negotiate    the tokens of NTLM as they are; those of Kerberos inside SPNEGO
 *   Kerberos     the tokens of Kerberos as they are, for a host that offers only this
 *   Basic        user and password, only over a TLS connection to a host that has proved itself
 *   certificate  the TLS connection itself has shown it
 *
 * Identify travels with the last token where a mechanism ends with one of ours (NTLM), else after the server's (Kerberos).
 * The server proves itself before anything but tokens is sent.
 */
import {
  Malformed,
  tokensOf,
  type LogOnTokens,
  type SecurityContext,
  type SecurityProvider,
} from '../../auth/index.ts';
import type { Credentials } from '../../ntlm/index.ts';
import type { Address } from '../address.ts';
import { winrmFaults } from '../faults.ts';
import type { HttpReply } from './exchange.ts';

export type LogOnMethod =
  | { readonly kind: 'security'; readonly provider: SecurityProvider }
  | { readonly kind: 'basic'; readonly credentials: Credentials }
  | { readonly kind: 'certificate' };

export interface LogOnTarget {
  readonly address: Address;
  /** For messages. */
  readonly user: string;
  readonly method: LogOnMethod;
}

export type Scheme = 'Negotiate' | 'Kerberos';

/** What holds from now on. */
export interface LoggedOn {
  /** What messages are protected with; absent where TLS alone does it. */
  readonly security?: SecurityContext;
  readonly scheme?: Scheme;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent with the first request only. */
  readonly firstHeaders: Readonly<Record<string, string>>;
}

/** Sends a token without a message and returns the answer. */
export type TokenPost = (headers: Readonly<Record<string, string>>) => Promise<HttpReply>;

/** One round for each token of a mechanism; NTLM needs one, Kerberos one or two. */
const ROUNDS_MAX = 4;
/** MS-WSMV 2.2.9.1.3 / DSP0226 C.3.8: mutual authentication by TLS. */
const CERTIFICATE_PROFILE = 'http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual';

/** Throws `WINRM_AUTHENTICATION_FAILED`, `WINRM_METHOD_NOT_OFFERED`, `WINRM_NOT_WINRM`, `KERBEROS_…`, `NTLM_…`. */
export async function logOn(
  target: LogOnTarget,
  channelBinding: Uint8Array | undefined,
  post: TokenPost,
  signal: AbortSignal | undefined,
): Promise<LoggedOn> {
  const { method, address } = target;
  if (method.kind === 'certificate') return always({ Authorization: CERTIFICATE_PROFILE });
  if (method.kind === 'basic') {
    const { credentials } = method;
    const pair = Buffer.from(`${credentials.name}:${await credentials.password()}`);
    return always({ Authorization: `Basic ${pair.toString('base64')}` });
  }
  for (let scheme: Scheme = 'Negotiate'; ; scheme = 'Kerberos') {
    const { host } = address;
    const security = await method.provider({ host, service: 'HTTP', channelBinding }, signal);
    try {
      const tokens = new TokenExchange(target, security, scheme, post);
      if (await tokens.run()) return { security, scheme, headers: {}, firstHeaders: tokens.lastHeaders };
    } catch (error) {
      security[Symbol.dispose]();
      if (!(error instanceof Malformed)) throw error;
      throw winrmFaults.protocolBroken({ reason: `in its log-on, ${error.message}` }, { cause: error });
    }
    security[Symbol.dispose]();
  }
}

function always(headers: Readonly<Record<string, string>>): LoggedOn {
  return { headers, firstHeaders: {} };
}

class TokenExchange {
  readonly #target: LogOnTarget;
  readonly #security: SecurityContext;
  readonly #scheme: Scheme;
  readonly #tokens: LogOnTokens;
  readonly #post: TokenPost;
  /** Our last token, when it is still to be sent. */
  lastHeaders: Readonly<Record<string, string>> = {};

  constructor(target: LogOnTarget, security: SecurityContext, scheme: Scheme, post: TokenPost) {
    this.#target = target;
    this.#security = security;
    this.#scheme = scheme;
    this.#post = post;
    // Windows takes NTLM as it is, and then its sealing starts at 0; inside SPNEGO a MIC would use up the first number.
    this.#tokens = tokensOf(security, scheme === 'Negotiate' && security.name === 'Kerberos');
  }

  /** False when the host wants the other scheme. */
  async run(): Promise<boolean> {
    let token: Uint8Array | undefined = await this.#tokens.first();
    for (let round = 0; token && round < ROUNDS_MAX; round += 1) {
      const headers = { Authorization: `${this.#scheme} ${Buffer.from(token).toString('base64')}` };
      if (this.#security.complete) {
        this.lastHeaders = headers;
        return true;
      }
      const reply = await this.#post(headers);
      const theirs = this.#tokenIn(reply);
      if (reply.status !== 401) return await this.#finish(reply, theirs);
      if (!theirs && round === 0 && this.#wantsKerberos(reply)) return false;
      token = theirs && (await this.#tokens.next(theirs));
    }
    throw this.#refused();
  }

  async #finish(reply: HttpReply, token: Uint8Array | undefined): Promise<boolean> {
    const { host, port } = this.#target.address;
    // NTLM as it is always ends with a token of ours: who is content before that looked at nothing.
    if (reply.status !== 200 || this.#security.name.startsWith('NTLM')) {
      throw winrmFaults.notWinrm({ host, port, status: reply.status });
    }
    if (token && !(await this.#tokens.finish(token))) throw winrmFaults.tampered({ host });
    if (!this.#security.complete) throw winrmFaults.hostNotProved({ host });
    return true;
  }

  #tokenIn(reply: HttpReply): Uint8Array | undefined {
    const found = new RegExp(`(?:^|,\\s*)${this.#scheme}\\s+([A-Za-z0-9+/]+=*)`, 'i').exec(
      offerOf(reply),
    )?.[1];
    return found === undefined ? undefined : Buffer.from(found, 'base64');
  }

  /** Throws when the host offers nothing this log-on could use. */
  #wantsKerberos(reply: HttpReply): boolean {
    if (offers(reply, this.#scheme)) return false;
    const other = this.#scheme === 'Negotiate' && this.#security.name === 'Kerberos';
    if (other && offers(reply, 'Kerberos')) return true;
    throw notOffered(this.#target.address, this.#scheme, reply);
  }

  #refused(): Error {
    const { address, user } = this.#target;
    const { host } = address;
    return winrmFaults.authenticationFailed({ host, user, mechanism: this.#security.name });
  }
}

/** What a 401 to the first request means. */
export function refusal({ address, user, method }: LogOnTarget, on: LoggedOn, reply: HttpReply): Error {
  const { host } = address;
  if (on.security) return winrmFaults.authenticationFailed({ host, user, mechanism: on.security.name });
  if (method.kind === 'certificate') return winrmFaults.certificateNotMapped({ host });
  if (!offers(reply, 'Basic')) return notOffered(address, 'Basic', reply);
  return winrmFaults.authenticationFailed({ host, user, mechanism: 'Basic' });
}

function notOffered({ host }: Address, wanted: string, reply: HttpReply): Error {
  return winrmFaults.methodNotOffered({ host, wanted, offered: offerOf(reply) || 'nothing' });
}

function offers(reply: HttpReply, scheme: string): boolean {
  return new RegExp(`(?:^|,\\s*)${scheme}(?:\\s|,|$)`, 'i').test(offerOf(reply));
}

function offerOf(reply: HttpReply): string {
  return reply.headers['www-authenticate'] ?? '';
}
