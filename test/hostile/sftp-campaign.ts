/**
 * Answers of an SFTP server, to every request there is, in the stream of a channel: opening, listing and reading a file. What
 * a read says it brought is there, and nothing lies beside it.
 */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import {
  answer,
  data,
  fileAttributes,
  handle,
  status,
  text,
  u32,
  version,
} from '../../src/sftp/answers.fixture.ts';
import { SftpSession } from '../../src/sftp/session.ts';
import type { SshServer } from '../../src/ssh/index.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged, pieces } from './byte-damage.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';

const CONTENT = Buffer.alloc(300, 0xc0);

export const sftpCampaign: Campaign = {
  name: 'SFTP answers',
  allocationBytesMax: 300 * 1024,
  meets: [
    'read',
    'SFTP_PROTOCOL_BROKEN',
    'SSH_CONNECTION_LOST',
    'SFTP_NOT_FOUND',
    'SFTP_ACCESS_DENIED',
    'SFTP_SERVER_FAILED',
    'SFTP_NOT_A_FILE',
    'SFTP_FOLDER_TOO_LARGE',
    'DISK_TRUNCATED',
  ],
  start: (): Attack => async (random) => {
    const server = new FalseServer(random);
    const outcome = outcomeIn(() => attack(server.connection, random));
    await server.hangUpWhenIdle();
    return await outcome;
  },
};

async function attack(server: SshServer, random: Random): Promise<void> {
  const session = await SftpSession.open(server, new AbortController().signal);
  if (random.chance(0.3)) {
    const names = await session.list('/C:');
    assert.ok(names.length <= 200_000);
    return;
  }
  const file = await session.open('/C:/a.vhdx');
  const { size } = file.identity;
  assert.ok(Number.isSafeInteger(size) && size >= 0, `a size of ${size}`);
  const into = Buffer.alloc(120, 0xee);
  const got = await session.read(file, 10, into.subarray(10, 110));
  assert.ok(got >= 1 && got <= 100, `${got} bytes for 100`);
  const beside = [...into.subarray(0, 10), ...into.subarray(10 + got)];
  assert.ok(
    beside.every((byte) => byte === 0xee),
    'bytes beside those that came',
  );
}

/** An SSH connection that is nothing but its SFTP channel. */
class FalseServer extends Duplex {
  readonly #random: Random;
  readonly #ending = new AbortController();
  /** Its folders have no end. */
  readonly #isEndless: boolean;
  #bytes = Buffer.alloc(0);
  #heard = 0;

  constructor(random: Random) {
    super();
    this.#random = random;
    this.#isEndless = random.chance(0.003);
  }

  get connection(): SshServer {
    const connection = {
      usable: true,
      ended: this.#ending.signal,
      subsystem: async () => this,
      fail: () => undefined,
      close: () => undefined,
    };
    const target = { host: 'h', user: 'u', answerTimeoutMs: 60_000 };
    return { target, connect: async () => connection } as unknown as SshServer;
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= 9) {
      const length = 4 + this.#bytes.readUInt32BE(0);
      const request = this.#bytes.subarray(0, length);
      this.#bytes = this.#bytes.subarray(length);
      this.#heard += 1;
      for (const piece of pieces(this.#reply(request), this.#random)) this.push(piece);
    }
    done();
  }

  async hangUpWhenIdle(): Promise<void> {
    for (let before = -1, quiet = 0; quiet < 3; quiet += 1) {
      await new Promise(setImmediate);
      if (before !== this.#heard) quiet = 0;
      before = this.#heard;
    }
    this.destroy();
  }

  #reply(request: Buffer): Buffer {
    const id = request.readUInt32BE(5);
    if (this.#isEndless && request[4] === 12) return manyNames(id);
    const honest = this.#honest(request[4]!, id, request);
    return this.#random.chance(0.75) ? honest : this.#lie(honest, id);
  }

  #honest(type: number, id: number, request: Buffer): Buffer {
    if (type === 1) return version();
    if (type === 17 || type === 8) return answer(105, id, fileAttributes(CONTENT.length));
    if (type === 3 || type === 11) return handle(id);
    if (type === 12) return this.#heard > 8 ? status(id, 1) : this.#names(id);
    if (type === 5)
      return data(
        id,
        CONTENT.subarray(0, Math.min(CONTENT.length, request.readUInt32BE(request.length - 4))),
      );
    return status(id, 0);
  }

  #names(id: number): Buffer {
    const names = ['a.vhdx', 'b', 'é'].map((name) => [text(name), text(`-rw ${name}`), fileAttributes(1)]);
    return answer(104, id, u32(names.length), ...names.flat());
  }

  #lie(honest: Buffer, id: number): Buffer {
    const random = this.#random;
    const kinds: (() => Buffer)[] = [
      () => damaged(honest, random),
      // The length in front made right again.
      () => answer(honest[4]!, id, damaged(honest.subarray(9), random)),
      () => answer(honest[4]!, id, damaged(honest.subarray(9), random)),
      () => answer(random.below(256), id, honest.subarray(9)),
      () => status(id, random.below(12), 'no\u001b[31m'),
      () => answer(honest[4]!, random.next(), honest.subarray(9)),
      () => Buffer.concat([honest, honest]),
      () => data(id, random.bytes(random.below(200))),
      () =>
        answer(
          105,
          id,
          u32(0x8000_0005, 0, random.next(), random.below(65_536), random.below(5)),
          text('x'),
          text('y'),
        ),
      () =>
        answer(105, id, u32(0x5, random.next(), random.next(), random.chance(0.5) ? 0o040_755 : 0o010_644)),
      () =>
        answer(104, id, u32(random.chance(0.5) ? random.next() : 1), text('x'), text('x'), fileAttributes(1)),
      () => Buffer.concat([u32(random.chance(0.5) ? random.next() : 300_000), honest.subarray(4)]),
      () => Buffer.concat([version(random.below(9)), honest]),
      () => Buffer.from('Welcome! This server prints a banner.\r\n'),
    ];
    return kinds[random.below(kinds.length)]!();
  }
}

/** As many as fit an answer, in one piece: a folder that does not end. */
function manyNames(id: number): Buffer {
  return answer(104, id, u32(14_000), Buffer.alloc(14_000 * 12));
}
