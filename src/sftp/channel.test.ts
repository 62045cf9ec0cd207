/** The channel and the session against servers that mean harm: each wrong answer gives a fault, none a hang. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, isFault } from '../base/index.ts';
import { answer, data, fileAttributes, handle, status, text, u32, version } from './answers.fixture.ts';
import { SftpChannel } from './channel.ts';
import { Malformed, readAttributes, readEntries, readExtensions, readHandle, readStatus } from './message.ts';

/** A server that answers each request with what `reply` says; the first request is INIT. */
class FalseServer extends Duplex {
  readonly requests: { type: number; id: number }[] = [];
  readonly #reply: (request: { type: number; id: number }) => Uint8Array | undefined;
  #bytes = Buffer.alloc(0);

  constructor(reply: (request: { type: number; id: number }) => Uint8Array | undefined) {
    super();
    this.#reply = reply;
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= 9) {
      const length = 4 + this.#bytes.readUInt32BE(0);
      const request = { type: this.#bytes[4]!, id: this.#bytes.readUInt32BE(5) };
      this.#bytes = this.#bytes.subarray(length);
      this.requests.push(request);
      const reply = request.type === 1 ? version() : this.#reply(request);
      if (reply) this.push(reply);
    }
    done();
  }
}

async function opened(
  reply: (request: { type: number; id: number }) => Uint8Array | undefined,
  answerTimeoutMs = 60_000,
): Promise<{ channel: SftpChannel; server: FalseServer }> {
  const server = new FalseServer(reply);
  const channel = new SftpChannel(server, { host: 'h', answerTimeoutMs, onFailure: () => undefined });
  await channel.start();
  return { channel, server };
}

const HANDLE = Buffer.from('h');

/** Long enough for a request to leave and its answer to be looked at. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise(setImmediate);
}

const WRONG: Readonly<Record<string, (id: number) => Uint8Array>> = {
  'more data than was asked for': (id) => data(id, Buffer.alloc(101)),
  'data of no bytes': (id) => data(id, Buffer.alloc(0)),
  'an answer to a request nobody made': (id) => data(id + 1_000_000, Buffer.alloc(1)),
  'a message without end': () => Buffer.concat([u32(0x7fff_ffff), Buffer.of(101), u32(0)]),
  'bytes that are no SFTP': () => Buffer.from('Welcome to this server! It prints a banner.\n'),
};
for (const [what, reply] of Object.entries(WRONG)) {
  test(`${what} ends the channel, and every read with it`, async () => {
    let first = true;
    const { channel } = await opened(({ id }) => {
      if (!first) return undefined;
      first = false;
      return reply(id);
    });
    const reads = Array.from({ length: 200 }, () => channel.read(HANDLE, 0, new Uint8Array(100)));
    for (const outcome of await Promise.allSettled(reads)) {
      assert.ok(outcome.status === 'rejected' && hasCode(outcome.reason, 'SFTP_PROTOCOL_BROKEN'));
    }
    assert.ok(!channel.usable);
  });
}

test('data for a request that is no read ends the channel', async () => {
  const { channel } = await opened(({ id }) => data(id, Buffer.alloc(0)));
  await assert.rejects(
    channel.request('STAT', (id) => answer(17, id, text('/'))),
    { code: 'SFTP_PROTOCOL_BROKEN' },
  );
});

test('64 reads are on the wire at most, and the next goes out when one is answered, in order', async () => {
  const { channel, server } = await opened(() => undefined);
  const done: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    void channel.read(HANDLE, i, new Uint8Array(1)).then(
      () => done.push(i),
      () => undefined,
    );
  }
  await turns();
  const reads = (): number[] => server.requests.filter(({ type }) => type === 5).map(({ id }) => id);
  assert.equal(reads().length, 64);
  for (const id of reads().slice(0, 3)) server.push(data(id, Buffer.of(1)));
  await turns();
  assert.equal(reads().length, 67);
  assert.deepEqual(done, [0, 1, 2]);
  channel.fail(channel.broken(new Error('the end of this test')));
});

test('a server that answers nothing is given up, though it goes on sending to nobody', async () => {
  const { channel } = await opened(() => undefined, 100);
  await assert.rejects(channel.read(HANDLE, 0, new Uint8Array(1)), { code: 'SFTP_TIMED_OUT' });
});

test('data that comes after a read was cancelled goes nowhere', async () => {
  const { channel, server } = await opened(() => undefined);
  const controller = new AbortController();
  const into = Buffer.alloc(10);
  const reading = channel.read(HANDLE, 0, into, controller.signal);
  await turns();
  const reply = data(server.requests.at(-1)!.id, Buffer.alloc(10, 7));
  server.push(reply.subarray(0, 18));
  await turns();
  assert.deepEqual([...into], [7, 7, 7, 7, 7, 0, 0, 0, 0, 0]);
  controller.abort(new Error('enough'));
  await assert.rejects(reading, /enough/);
  server.push(reply.subarray(18));
  await turns();
  assert.deepEqual([...into], [7, 7, 7, 7, 7, 0, 0, 0, 0, 0]);
  assert.ok(channel.usable, 'and the channel goes on');
  channel.fail(channel.broken(new Error('the end of this test')));
});

test('a server of version 2 is refused', async () => {
  const server = new FalseServer(() => undefined);
  const channel = new SftpChannel(server, { host: 'h', answerTimeoutMs: 1000, onFailure: () => undefined });
  server.push(version(2));
  await assert.rejects(channel.start(), { code: 'SFTP_PROTOCOL_BROKEN', message: /version 2/ });
});

test('parsers read or refuse whatever they are given', () => {
  const parsers = [readAttributes, readEntries, readExtensions, readHandle, readStatus];
  const whole = [
    fileAttributes(5 * 2 ** 32),
    text('handle'),
    Buffer.concat([
      u32(2),
      text('a'),
      text('-rw a'),
      fileAttributes(1),
      text('b'),
      text('-rw b'),
      fileAttributes(2),
    ]),
    status(0, 4, 'failure').subarray(9),
    handle(0).subarray(9),
  ];
  const damaged = fc
    .tuple(fc.constantFrom(...whole), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
    .map(([bytes, changes, end]) => {
      const copy = Buffer.from(bytes);
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy.subarray(0, end % 2 === 0 ? copy.length : end % copy.length);
    });
  fc.assert(
    fc.property(damaged, fc.constantFrom(...parsers), (bytes, parse) => {
      try {
        parse(bytes);
      } catch (error) {
        assert.ok(error instanceof Malformed && !isFault(error), String(error));
      }
    }),
    { numRuns: 100_000 },
  );
});
