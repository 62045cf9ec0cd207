/** Data lands where it is wanted while its message arrives; what may be seen of it, and what becomes of who gave up waiting. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, MiB } from '../base/index.ts';
import { SmbConnection } from './connection.ts';
import { SmbFile } from './file.ts';
import { HEADER_FLAG, messageHeader, PLAIN_MESSAGE, readRequest, readResponse } from './format.ts';
import { Landing } from './landing.ts';
import { SmbSession, type FileHandle } from './session.ts';
import { framed, openBox, TEST_KEYS, TEST_SESSION } from './testing/false-server.fixture.ts';
import { Sealing } from './transform.ts';

const TARGET = { host: 'h', port: 445, connectTimeoutMs: 60_000, answerTimeoutMs: 60_000 };
const READ_BYTES_MAX = MiB;

/** A server of one file, without a network: requests are kept, and answered as the test says. */
class FileServer {
  readonly content: Buffer;
  readonly connection: SmbConnection;
  readonly handle: FileHandle;
  readonly asked: { readonly id: bigint; readonly offset: number; readonly length: number }[] = [];
  readonly #sealing = new Sealing(
    { ...TEST_KEYS, sealing: TEST_KEYS.opening, opening: TEST_KEYS.sealing },
    TEST_SESSION,
  );

  constructor(size: number) {
    this.content = randomBytes(size);
    const write = (bytes: string | Uint8Array): boolean => this.#hear((bytes as Uint8Array).subarray(4));
    this.connection = new SmbConnection(TARGET, { write, destroy: () => undefined as never });
    this.connection.enterSession(TEST_SESSION);
    this.connection.protect(new Sealing(TEST_KEYS, TEST_SESSION), READ_BYTES_MAX + 1024);
    const session = new SmbSession({ ...TARGET, user: 'u' } as never, this.connection, READ_BYTES_MAX);
    const identity = { onDisk: undefined, size, lastWriteTime: 0n };
    this.handle = { session, treeId: 5, fileId: new Uint8Array(16), identity, path: 'C$\\a.vhdx' };
  }

  get session(): SmbSession {
    return this.handle.session;
  }

  /** The answer to a read, on the wire. `gapBytes` lie between its start and the data. */
  answer({ id, offset, length }: FileServer['asked'][number], gapBytes = 0): Buffer {
    const head = Buffer.alloc(messageHeader.size + readResponse.size + gapBytes);
    messageHeader.write(head, {
      protocolId: PLAIN_MESSAGE,
      structureSize: 64,
      command: 8,
      flags: HEADER_FLAG.response,
      credits: 64,
      messageId: id,
      sessionId: TEST_SESSION,
    });
    const data = this.content.subarray(offset, offset + length);
    const fields = { structureSize: 17, dataOffset: head.length, dataLength: data.length };
    readResponse.write(head, fields, messageHeader.size);
    return framed(this.#sealing.seal(Buffer.concat([head, data])));
  }

  #hear(box: Uint8Array): boolean {
    const message = openBox(this.#sealing, box)!;
    const { offset, length } = readRequest.read(message, messageHeader.size);
    this.asked.push({ id: messageHeader.read(message).messageId, offset, length });
    return true;
  }
}

const asked = (): Promise<unknown> => new Promise(setImmediate);

test('however an answer is cut, and whether its data follows at once or after a gap, the bytes of the file arrive', async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60_000 }), fc.nat(40), cuts, async (size, gapBytes, sizes) => {
      const server = new FileServer(size);
      const into = Buffer.alloc(size);
      const read = server.session.read(server.handle, 0, new Landing(into));
      await asked();
      const stream = server.answer(server.asked[0]!, gapBytes);
      for (let at = 0, cut = 0; at < stream.length; cut += 1) {
        const end = Math.min(stream.length, at + (sizes[cut] ?? stream.length));
        server.connection.push(stream.subarray(at, end));
        at = end;
      }
      assert.equal(await read, size);
      assert.ok(into.equals(server.content));
    }),
    { numRuns: 300 },
  );
});

test('answers to many reads in any order, all in one piece, each find their place', async () => {
  const server = new FileServer(MiB);
  const into = Buffer.alloc(MiB);
  const first = server.session.read(server.handle, 0, new Landing(into.subarray(0, 65_536)));
  await asked();
  server.connection.push(server.answer(server.asked.shift()!));
  await first;
  const reads = Array.from({ length: 15 }, (_, index) => {
    const at = (index + 1) * 65_536;
    return server.session.read(server.handle, at, new Landing(into.subarray(at, at + 65_536)));
  });
  await asked();
  server.connection.push(Buffer.concat(server.asked.toReversed().map((each) => server.answer(each))));
  await Promise.all(reads);
  assert.ok(into.equals(server.content));
});

test('data that was changed on its way is nobody’s: the read fails, whichever byte it was', async () => {
  for (const at of [0, 4, 60, 120, 140, 5000]) {
    const server = new FileServer(10_000);
    const read = server.session.read(server.handle, 0, new Landing(Buffer.alloc(10_000)));
    await asked();
    const stream = server.answer(server.asked[0]!);
    stream[4 + at]! ^= 1;
    server.connection.push(stream);
    await assert.rejects(read, (error) => hasCode(error, 'SMB_TAMPERED'), `byte ${at}`);
  }
});

test('who gives up a read may use the memory at once: nothing that still arrives is written into it', async () => {
  const server = new FileServer(50_000);
  const file = new SmbFile({ host: 'h', share: 'C$', path: 'a.vhdx' }, server.handle, {
    slots: [{} as never],
    reconnectMs: 0,
  });
  const into = Buffer.alloc(50_000);
  const abort = new AbortController();
  const read = file.read(0, into, { signal: abort.signal });
  await asked();
  const stream = server.answer(server.asked[0]!);
  server.connection.push(stream.subarray(0, 30_000));
  assert.ok(into.subarray(0, 20_000).equals(server.content.subarray(0, 20_000)), 'it lands as it arrives');
  const reason = new Error('enough');
  abort.abort(reason);
  await assert.rejects(read, reason);
  into.fill(0xaa);
  server.connection.push(stream.subarray(30_000));
  assert.ok(into.every((byte) => byte === 0xaa));
  assert.ok(server.connection.usable, 'the connection goes on');
});
