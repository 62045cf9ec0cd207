/**
 * A small WinRM server for tests: it checks the log-on the way a host does, and a test decides what each sealed request is
 * answered with, down to the bytes. The independent servers are the lab and the python3-gssapi acceptor of test/interop.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import {
  AV,
  authenticateMessage,
  challengeMessage,
  NTLM_FLAGS,
  NTLM_SIGNATURE,
  readAvPairs,
  utf16,
  writeAvPairs,
  type AvPair,
  type PayloadSpan,
} from '../../ntlm/format.ts';
import { hmacMd5, passwordKey } from '../../ntlm/keys.ts';
import { Rc4 } from '../../ntlm/rc4.ts';
import { NtlmSeal } from '../../ntlm/seal.ts';
import { encryptedContentType, readEncryptedBody, writeEncryptedBody } from '../http/encrypted-body.ts';
import { NS } from '../soap/names.ts';

export interface Heard {
  readonly xml: string;
  readonly action: string;
  readonly messageId: string;
  /** Which TCP connection, from 1. */
  readonly connection: number;
  readonly socket: Socket;
}

/** An envelope to seal, or what to do with the response instead. */
export type Reaction = string | ((response: ServerResponse, seal: (xml: string) => Buffer) => void);

export interface SealedServerOptions {
  answer(heard: Heard): Reaction | Promise<Reaction>;
  identify?: (heard: Heard) => Reaction;
  /** Bits a client may find missing in the challenge. */
  readonly withoutFlags?: number;
  readonly withoutTimestamp?: boolean;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Runs for every HTTP request before anything else; true means it was dealt with. */
  intercept?: (request: IncomingMessage, response: ServerResponse, connection: number) => boolean;
}

export interface SealedServer extends AsyncDisposable {
  readonly url: string;
  readonly heard: Heard[];
  /** Log-ons tried. */
  readonly logOns: { user: string; domain: string; accepted: boolean; pairs: readonly AvPair[] }[];
  readonly stats: { connections: number };
  /** `url` and credentials for openWinrm. */
  readonly options: { url: string; credentials: { user: string; password: string } };
}

export const TEST_USER = { user: 'LAB\\backup', password: 'Pä$$w0rd' };

interface SocketState {
  readonly number: number;
  negotiate?: Buffer;
  challenge?: Uint8Array;
  seal?: NtlmSeal;
  ready?: boolean;
}

export async function startSealedServer(options: SealedServerOptions): Promise<SealedServer> {
  const states = new Map<Socket, SocketState>();
  const server = { heard: [] as Heard[], logOns: [] as SealedServer['logOns'], stats: { connections: 0 } };
  const listener: RequestListener = (request, response) => {
    const state = states.get(request.socket) ?? { number: (server.stats.connections += 1) };
    states.set(request.socket, state);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (options.intercept?.(request, response, state.number)) return;
      handle(request, response, Buffer.concat(chunks), state, options, server).catch(() =>
        request.socket.destroy(),
      );
    });
    request.on('error', () => undefined);
  };
  const http = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  const sockets = new Set<Socket>();
  http.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${(http.address() as AddressInfo).port}/wsman`;
  return {
    ...server,
    url,
    options: { url, credentials: TEST_USER },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  state: SocketState,
  options: SealedServerOptions,
  server: Pick<SealedServer, 'heard' | 'logOns'>,
): Promise<void> {
  const token = /^Negotiate (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (token !== undefined && !logOn(Buffer.from(token, 'base64'), state, options, server, response)) return;
  if (!state.ready) return unauthorised(response);
  const xml = options.tls ? body : state.seal!.unseal(readEncryptedBody(body));
  if (xml === undefined) throw new Error('the client sealed out of step');
  const heard = describe(Buffer.from(xml).toString(), state.number, request.socket);
  const isIdentify = heard.xml.includes('<i:Identify/>');
  if (!isIdentify) server.heard.push(heard);
  const reaction = isIdentify ? (options.identify ?? introduce)(heard) : await options.answer(heard);
  react(response, reaction, options.tls ? undefined : state.seal);
}

function react(response: ServerResponse, reaction: Reaction, seal: NtlmSeal | undefined): void {
  const sealed = (xml: string): Buffer =>
    seal ? Buffer.from(writeEncryptedBody(seal.seal(Buffer.from(xml)), 'Negotiate')) : Buffer.from(xml);
  if (typeof reaction === 'function') return reaction(response, sealed);
  const type = seal ? encryptedContentType('Negotiate') : 'application/soap+xml;charset=UTF-8';
  response.writeHead(reaction.includes(':Fault') ? 500 : 200, { 'Content-Type': type });
  response.end(sealed(reaction));
}

/** True once the request may be answered; otherwise the response is sent already. */
function logOn(
  token: Buffer,
  state: SocketState,
  options: SealedServerOptions,
  server: Pick<SealedServer, 'logOns'>,
  response: ServerResponse,
): boolean {
  if (token[8] === 1) {
    state.negotiate = token;
    state.challenge = makeChallenge(token.readUInt32LE(12), options);
    unauthorised(response, ` ${Buffer.from(state.challenge).toString('base64')}`);
    return false;
  }
  const accepted = accept(token, state, server, options.withoutTimestamp ?? false);
  if (!accepted) unauthorised(response);
  return accepted;
}

function unauthorised(response: ServerResponse, token = ''): void {
  response.writeHead(401, { 'WWW-Authenticate': [`Negotiate${token}`, 'Kerberos'] }).end();
}

function makeChallenge(clientFlags: number, options: SealedServerOptions): Uint8Array {
  const timestamp = { id: AV.timestamp, value: Uint8Array.from({ length: 8 }, (_, index) => index * 20) };
  const targetInfo = writeAvPairs([
    { id: 2, value: utf16('LAB') },
    { id: 1, value: utf16('HOST') },
    ...(options.withoutTimestamp ? [] : [timestamp]),
  ]);
  const head = new Uint8Array(56);
  challengeMessage.write(head, {
    signature: NTLM_SIGNATURE,
    type: 2,
    targetName: { length: 0, offset: 56 },
    flags: (clientFlags & ~(options.withoutFlags ?? 0)) >>> 0,
    serverChallenge: randomBytes(8),
    targetInfo: { length: targetInfo.length, offset: 56 },
  });
  return Buffer.concat([head, targetInfo]);
}

function accept(
  token: Buffer,
  state: SocketState,
  server: Pick<SealedServer, 'logOns'>,
  withoutTimestamp: boolean,
): boolean {
  const message = authenticateMessage.read(token);
  const part = ({ offset, length }: PayloadSpan): Buffer => token.subarray(offset, offset + length);
  const user = part(message.user).toString('utf16le');
  const domain = part(message.domain).toString('utf16le');
  const response = part(message.ntResponse);
  const challenge = Buffer.from(state.challenge!);
  const key = passwordKey(user, domain, TEST_USER.password);
  const proof = response.subarray(0, 16);
  const proven = hmacMd5(key, challenge.subarray(24, 32), response.subarray(16));
  const exportedKey = new Rc4(hmacMd5(key, proof)).apply(part(message.sessionKey));
  const withoutMic = Buffer.from(token).fill(0, 72, 88);
  const mic = hmacMd5(exportedKey, state.negotiate!, challenge, withoutMic);
  const known = TEST_USER.user === `${domain}\\${user}` && proof.equals(proven);
  const bound = withoutTimestamp || Buffer.from(mic).equals(message.mic);
  const accepted = known && bound && flagsHold(message);
  server.logOns.push({ user, domain, accepted, pairs: readAvPairs(response.subarray(44)) ?? [] });
  if (accepted) Object.assign(state, { ready: true, seal: new NtlmSeal(exportedKey, 'server') });
  return accepted;
}

function flagsHold(message: { flags: number }): boolean {
  return (message.flags & NTLM_FLAGS.seal) !== 0 && (message.flags & NTLM_FLAGS.keyExchange) !== 0;
}

function describe(xml: string, connection: number, socket: Socket): Heard {
  const first = (pattern: RegExp): string => pattern.exec(xml)?.[1] ?? '';
  return {
    xml,
    connection,
    socket,
    action: first(/<a:Action[^>]*>([^<]*)</),
    messageId: first(/<a:MessageID>([^<]*)</),
  };
}

function introduce(): string {
  return (
    `<s:Envelope xmlns:s="${NS.soap}"><s:Header/><s:Body><q:IdentifyResponse xmlns:q="${NS.identity}">` +
    '<q:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</q:ProtocolVersion>' +
    '<q:ProductVendor>Test</q:ProductVendor><q:ProductVersion>OS: 10.0</q:ProductVersion>' +
    '</q:IdentifyResponse></s:Body></s:Envelope>'
  );
}

/** An envelope that answers `heard`. */
export function soapAnswer(heard: Heard, body: string): string {
  return (
    `<s:Envelope xmlns:s="${NS.soap}" xmlns:a="${NS.addressing}" xmlns:n="${NS.enumeration}" xmlns:w="${NS.wsman}"` +
    ` xmlns:xsi="${NS.xsi}" xmlns:cim="${NS.cim}" xmlns:f="${NS.fault}"><s:Header>` +
    `<a:RelatesTo>${heard.messageId}</a:RelatesTo></s:Header><s:Body>${body}</s:Body></s:Envelope>`
  );
}

/** A fault of the plainest form: one number. */
export function soapFault(heard: Heard, code: number, subcode = 'w:InternalError'): string {
  return soapAnswer(
    heard,
    `<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>${subcode}</s:Value></s:Subcode></s:Code>` +
      `<s:Reason><s:Text xml:lang="ja-JP">エラー</s:Text></s:Reason>` +
      `<s:Detail><f:WSManFault Code="${code}"/></s:Detail></s:Fault>`,
  );
}
