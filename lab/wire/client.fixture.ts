/** A bare client for the tests: one socket, NTLM with sealing, requests as text. What it sends is what a test wrote. */
import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { ENCRYPTED_CONTENT_TYPE, readFrame, writeFrame } from './multipart.ts';
import { hmacMd5, ntowfV2 } from './ntlm.ts';
import {
  AV,
  MIC_OFFSET,
  authenticateMessage,
  challengeMessage,
  negotiateMessage,
  readAvPairs,
  writeAvPairs,
} from './ntlm-format.ts';
import { Rc4 } from './rc4.ts';
import { Sealing } from './sealing.ts';

const CLIENT_FLAGS = 0xe2088235;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly domain?: string;
}

export class WireClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #closed = false;
  #sealing: Sealing | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (part: Buffer) => {
      this.#received = Buffer.concat([this.#received, part]);
      this.#wake();
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
    socket.on('error', () => undefined); // seen by read() as a closed socket
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  static async connect(port: number): Promise<WireClient> {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new WireClient(socket);
  }

  static async authenticated(port: number, credentials: Credentials): Promise<WireClient> {
    const client = await WireClient.connect(port);
    const answer = await client.authenticate(credentials);
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
    return client;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  write(headers: readonly string[], body: Uint8Array | string): void {
    const bytes = Buffer.from(body as string);
    const head = ['POST /wsman HTTP/1.1', 'Host: hv1:5985', `Content-Length: ${bytes.length}`, ...headers];
    this.socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]));
  }

  post(headers: readonly string[], body: Uint8Array | string = ''): Promise<HttpAnswer> {
    this.write(headers, body);
    return this.read();
  }

  /** The next answer; rejects when the connection closes before it is complete. */
  async read(): Promise<HttpAnswer> {
    for (;;) {
      const answer = this.#take();
      if (answer) return answer;
      if (this.#closed) throw new Error('connection closed');
      await this.#changed.promise;
    }
  }

  #take(): HttpAnswer | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const [first, ...lines] = this.#received.toString('latin1', 0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => [line.split(':')[0]!.toLowerCase(), line.replace(/^[^:]*: */, '')]),
    );
    const next = end + 4 + Number(headers.get('content-length') ?? 0);
    if (this.#received.length < next) return undefined;
    const body = this.#received.subarray(end + 4, next);
    this.#received = this.#received.subarray(next);
    return { status: Number(first!.split(' ')[1]), headers, body };
  }

  async challenge(
    flags = CLIENT_FLAGS,
  ): Promise<{ negotiate: Uint8Array; challenge: Uint8Array | undefined }> {
    const negotiate = new Uint8Array(40);
    negotiateMessage.write(negotiate, { signature: Buffer.from('NTLMSSP\0'), type: 1, flags });
    const answer = await this.post([authorization(negotiate)]);
    const token = /^Negotiate (.+)$/.exec(answer.headers.get('www-authenticate') ?? '')?.[1];
    return { negotiate, challenge: token === undefined ? undefined : Buffer.from(token, 'base64') };
  }

  /** The whole handshake; the answer is the one to the AUTHENTICATE message, which `change` may spoil. */
  async authenticate(
    credentials: Credentials,
    change: (token: Uint8Array) => void = () => undefined,
  ): Promise<HttpAnswer> {
    const { negotiate, challenge } = await this.challenge();
    const { token, key } = authenticateToken(negotiate, challenge!, credentials);
    change(token);
    const answer = await this.post([authorization(token)]);
    if (answer.status === 200) this.useKey(key);
    return answer;
  }

  useKey(key: Uint8Array): void {
    this.#sealing = new Sealing(key, 'client');
  }

  sealed(xml: string): Uint8Array {
    return writeFrame(this.#sealing!.seal(Buffer.from(xml)));
  }

  async soap(xml: string): Promise<{ status: number; xml: string }> {
    const answer = await this.post([ENCRYPTED_HEADER], this.sealed(xml));
    return { status: answer.status, xml: this.open(answer) };
  }

  /** The plain text of a sealed answer; throws when it is not sealed or not genuine. */
  open(answer: HttpAnswer): string {
    const frame = readFrame(answer.body);
    const plain = frame && this.#sealing!.unseal(frame);
    if (!plain) throw new Error(`HTTP ${answer.status} without a genuine sealed body`);
    return Buffer.from(plain).toString('utf8');
  }
}

export const ENCRYPTED_HEADER = `Content-Type: ${ENCRYPTED_CONTENT_TYPE}`;

export function authorization(token: Uint8Array): string {
  return `Authorization: Negotiate ${Buffer.from(token).toString('base64')}`;
}

/** MS-NLMP 3.1.5.1.2, the client's half. */
export function authenticateToken(
  negotiate: Uint8Array,
  challenge: Uint8Array,
  { user, password, domain = '' }: Credentials,
): { token: Uint8Array; key: Uint8Array } {
  const head = challengeMessage.read(challenge);
  const infoEnd = head.targetInfoOffset + head.targetInfoLength;
  const pairs = readAvPairs(challenge.subarray(head.targetInfoOffset, infoEnd));
  pairs.set(AV.flags, Uint8Array.of(2, 0, 0, 0));
  const prefix = Buffer.concat([Buffer.from('0101000000000000', 'hex'), pairs.get(AV.timestamp)!]);
  const temp = Buffer.concat([prefix, randomBytes(8), Buffer.alloc(4), writeAvPairs(pairs), Buffer.alloc(4)]);
  const hash = ntowfV2(password, user, domain);
  const proof = hmacMd5(hash, head.serverChallenge, temp);
  const key = randomBytes(16);
  const fields = {
    nt: Buffer.concat([proof, temp]),
    domain: Buffer.from(domain, 'utf16le'),
    user: Buffer.from(user, 'utf16le'),
    key: new Rc4(hmacMd5(hash, proof)).transform(key),
  };
  const token = writeAuthenticate(fields, head.flags);
  token.set(hmacMd5(key, negotiate, challenge, token), MIC_OFFSET);
  return { token, key };
}

function writeAuthenticate(
  { nt, domain, user, key }: Record<'nt' | 'domain' | 'user' | 'key', Uint8Array>,
  flags: number,
): Uint8Array {
  const payload = Buffer.concat([nt, domain, user, key]);
  const bytes = new Uint8Array(authenticateMessage.size + payload.length);
  const ntOffset = authenticateMessage.size;
  const domainOffset = ntOffset + nt.length;
  const userOffset = domainOffset + domain.length;
  authenticateMessage.write(bytes, {
    signature: Buffer.from('NTLMSSP\0'),
    type: 3,
    ntLength: nt.length,
    ntOffset,
    domainLength: domain.length,
    domainOffset,
    userLength: user.length,
    userOffset,
    keyLength: key.length,
    keyOffset: userOffset + user.length,
    flags,
  });
  bytes.set(payload, ntOffset);
  return bytes;
}
