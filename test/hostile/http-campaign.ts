/** Answers of a web server: status lines, headers, lengths, chunks, whatever is cut or comes twice. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { HttpExchange } from '../../src/winrm/http/exchange.ts';
import { parseAddress } from '../../src/winrm/address.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged, pieces } from './byte-damage.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';

const ADDRESS = parseAddress('http://h/wsman');
const BODY_BYTES_MAX = 2000;

export const httpCampaign: Campaign = {
  name: 'HTTP answers',
  allocationBytesMax: 256 * 1024,
  meets: ['read', 'WINRM_PROTOCOL_BROKEN', 'WINRM_CONNECTION_LOST', 'WINRM_ENVELOPE_TOO_LARGE'],
  start: (): Attack => async (random) => {
    const answer = random.chance(0.9)
      ? hostileAnswer(random)
      : Buffer.concat([hostileAnswer(random), hostileAnswer(random)]);
    const server = new FalseServer(pieces(answer, random));
    const exchange = new HttpExchange(server as unknown as Socket, ADDRESS);
    const call = {
      delivery: { mayHaveRun: false },
      timeoutMs: 60_000,
      bodyBytesMax: BODY_BYTES_MAX,
      resource: 'r',
    };
    const outcome = await outcomeIn(async () => {
      const { status, body } = await exchange.post({}, Buffer.from('x'), call);
      assert.ok(status >= 100 && status <= 599, `status ${status}`);
      assert.ok(body.length <= BODY_BYTES_MAX, `${body.length} bytes`);
    });
    exchange.close();
    return outcome;
  },
};

/** Says its piece when it was asked something, and hangs up. */
class FalseServer extends Duplex {
  readonly #pieces: readonly Uint8Array[];
  bytesWritten = 0;

  constructor(pieces: readonly Uint8Array[]) {
    super();
    this.#pieces = pieces;
    this.on('error', () => undefined);
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    if (this.bytesWritten === 0) {
      for (const piece of this.#pieces) this.push(piece);
      this.push(null);
    }
    this.bytesWritten += bytes.length;
    done();
  }

  // What Node's agent asks of a socket.
  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

const TOKEN = `TlRMTVNTUAACAAAA${'A'.repeat(200)}`;
const BODY = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>';
const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** What a host says to a first token, to a request, and to one that it has no time for. */
const REAL: readonly (readonly [head: string, body: string])[] = [
  [
    `HTTP/1.1 401 \r\nServer: Microsoft-HTTPAPI/2.0\r\nWWW-Authenticate: Negotiate ${TOKEN}\r\nContent-Length: 0`,
    '',
  ],
  [
    `HTTP/1.1 200 \r\nContent-Type: multipart/encrypted;protocol="x";boundary="Encrypted Boundary"\r\nContent-Length: ${BODY.length}`,
    BODY,
  ],
  [
    'HTTP/1.1 500 \r\nContent-Type: application/soap+xml;charset=UTF-8\r\nTransfer-Encoding: chunked',
    chunked(BODY),
  ],
  ['HTTP/1.1 503 Service Unavailable\r\nConnection: close', BODY],
];

const LINES: readonly ((random: Random) => string)[] = [
  (random) =>
    `Content-Length: ${['0', '5', '-1', '99999999999999999999', '1e3', '0x5', '5, 5', ' ', '2001', '1999'][random.below(10)]}`,
  (random) =>
    `Transfer-Encoding: ${['chunked', 'identity', 'gzip, chunked', 'chunked, identity', 'x'][random.below(5)]}`,
  (random) => `Connection: ${['close', 'keep-alive', 'Upgrade', 'x'][random.below(4)]}`,
  () => 'Upgrade: x',
  (random) => `X-Long: ${'y'.repeat(random.below(random.chance(0.1) ? 70_000 : 300))}`,
  (random) =>
    Array.from({ length: random.below(random.chance(0.1) ? 3000 : 20) }, (_, i) => `X-${i}: y`).join('\r\n'),
  () => ' folded',
  () => 'no colon at all',
  () => ': no name',
  () => 'Ctl: \u0001\u0000',
  () => 'Content-Encoding: gzip',
];

function hostileAnswer(random: Random): Buffer {
  const [head, body] = REAL[random.below(REAL.length)]!;
  const lines = head.split('\r\n');
  for (let left = random.below(3); left > 0; left -= 1) {
    lines.splice(1 + random.below(lines.length), random.below(2), LINES[random.below(LINES.length)]!(random));
  }
  if (random.chance(0.1)) lines[0] = `HTTP/${random.below(3)}.${random.below(10)} ${random.below(1200)} x`;
  const text = `${lines.join('\r\n')}\r\n\r\n${random.chance(0.1) ? chunks(random) : body}`;
  const whole = Buffer.from(random.chance(0.1) ? `HTTP/1.1 100 Continue\r\n\r\n${text}` : text, 'latin1');
  return random.chance(0.5) ? damaged(whole, random) : whole;
}

function chunks(random: Random): string {
  const sizes = [
    '0',
    '5',
    'ffffffffffffffff',
    '-1',
    'g',
    '7d1',
    '5;x=y',
    `5;${'z'.repeat(5000)}`,
    '00000000000000005',
    '',
  ];
  return Array.from(
    { length: random.below(600) },
    () => `${sizes[random.below(3) === 0 ? random.below(sizes.length) : 1]}\r\nhello\r\n`,
  ).join('');
}
