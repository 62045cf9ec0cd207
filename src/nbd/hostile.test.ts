/** Peers that break the rules: whatever a server answers and whatever a client sends, it ends with a fault, and soon. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, isFault } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import {
  COMMAND,
  COMMAND_FLAG,
  encodeRequest,
  greeting,
  GREETING_MAGIC,
  OPTION,
  OPTION_MAGIC,
  optionHeader,
} from './format.ts';
import { NbdDisk } from './nbd-disk.ts';
import { randomDisk, Served } from './served.fixture.ts';
import type { NbdPlace } from './address.ts';

const RUNS = 1000;

/** What a server sends to a client that opens, asks for allocation, reads and writes. */
async function realAnswers(): Promise<Buffer> {
  const disk = await randomDisk(300_000);
  await using served = await Served.start({ disk, writer: disk });
  const answers: Buffer[] = [];
  const between = createServer((client) => {
    const server = connect(pathOf(served.place));
    client.pipe(server);
    server.on('data', (chunk) => answers.push(chunk));
    server.pipe(client);
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  await useDisk((between.address() as AddressInfo).port);
  await new Promise((resolve) => between.close(resolve));
  return Buffer.concat(answers);
}

function pathOf(place: NbdPlace): { path: string } {
  assert.equal(place.kind, 'unix');
  return { path: place.path };
}

async function useDisk(port: number): Promise<void> {
  const disk = await NbdDisk.open(`nbd://127.0.0.1:${port}`, {
    answerTimeoutMs: 2000,
    reconnectMs: 0,
    connections: 1,
  });
  try {
    await Array.fromAsync(disk.allocated({ offset: 0, length: Math.min(disk.size, 300_000) }));
    await disk.read(0, Buffer.alloc(Math.min(disk.size, 100_000)));
    if (!disk.readOnly) await disk.write(0, Buffer.alloc(Math.min(disk.size, 600)));
    if (!disk.readOnly) await disk.flush();
  } finally {
    await disk.close();
  }
}

const mutations = fc.array(
  fc.record({
    at: fc.oneof(fc.nat({ max: 400 }), fc.nat({ max: 400_000 })),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.constantFrom(Buffer.alloc(4), Buffer.alloc(4, 0xff), Buffer.from([0x7f, 0xff, 0xff, 0xff])),
    ),
    how: fc.constantFrom('replace', 'insert', 'cut'),
  }),
  { minLength: 1, maxLength: 4 },
);

function mutated(bytes: Buffer, changes: readonly { at: number; bytes: Uint8Array; how: string }[]): Buffer {
  return changes.reduce((now, { at, bytes: added, how }) => {
    const place = now.length === 0 ? 0 : at % now.length;
    const after = how === 'replace' ? place + added.length : how === 'cut' ? now.length : place;
    return Buffer.concat([
      now.subarray(0, place),
      how === 'cut' ? Buffer.alloc(0) : added,
      now.subarray(after),
    ]);
  }, bytes);
}

test('whatever a server answers, a client ends with a fault of its own or is right, and never waits for long', async () => {
  const answers = await realAnswers();
  assert.ok(answers.length > 50_000);
  let toSend = answers;
  const server = createServer((client) => {
    client.on('error', () => undefined);
    client.end(toSend);
    client.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mutations, async (changes) => {
      toSend = mutated(answers, changes);
      const failure = await useDisk(port).catch((error: unknown) => error);
      if (failure === undefined) return;
      refused += 1;
      assert.ok(
        isFault(failure) && failure.kind !== 'bug',
        `not a fault of ours: ${(failure as Error).stack}`,
      );
    }),
    { numRuns: RUNS },
  );
  assert.ok(refused > RUNS / 2, `${refused} refused`);
  await new Promise((resolve) => server.close(resolve));
});

function option(code: number, data = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(optionHeader.size);
  optionHeader.write(head, { magic: OPTION_MAGIC, option: code, length: data.length });
  return Buffer.concat([head, data]);
}

/** A client's side of a session, as bytes. */
function realRequests(): Buffer {
  const request = (command: number, offset: number, length: number, flags = 0): Buffer =>
    encodeRequest({ command, flags, cookie: { high: 0, low: command }, offset, length });
  const name = Buffer.alloc(4);
  const context = Buffer.concat([
    name,
    Buffer.from([0, 0, 0, 1, 0, 0, 0, 15]),
    Buffer.from('base:allocation'),
  ]);
  return Buffer.concat([
    Buffer.from([0, 0, 0, 3]),
    option(OPTION.structuredReply),
    option(OPTION.list),
    option(OPTION.listMetaContext, Buffer.alloc(8)),
    option(OPTION.setMetaContext, context),
    option(OPTION.info, Buffer.concat([name, Buffer.from([0, 1, 0, 3])])),
    option(OPTION.go, Buffer.concat([name, Buffer.from([0, 1, 0, 3])])),
    request(COMMAND.read, 0, 70_000),
    request(COMMAND.read, 4096, 5000, COMMAND_FLAG.df),
    request(COMMAND.blockStatus, 0, 300_000),
    request(COMMAND.write, 512, 512, COMMAND_FLAG.fua),
    Buffer.alloc(512, 7),
    request(COMMAND.writeZeroes, 0, 4096),
    request(COMMAND.trim, 8192, 4096),
    request(COMMAND.flush, 0, 0),
    request(COMMAND.read, 299_999, 1),
    request(COMMAND.disconnect, 0, 0),
  ]);
}

test('whatever a client sends, the server goes on serving the others', async () => {
  const disk = await randomDisk(300_000);
  await using served = await Served.start({ disk, writer: disk });
  const good = await NbdDisk.open(served.address);
  const requests = realRequests();
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(mutations, async (changes) => {
      answered += await talk(pathOf(served.place), mutated(requests, changes));
      await good.read(0, Buffer.alloc(100));
    }),
    { numRuns: RUNS },
  );
  assert.ok(answered > RUNS * greeting.size, 'they were answered');
  await good.close();
});

/** Sends the bytes and no more; resolves with how many came back before the server closed. */
async function talk(place: { path: string }, bytes: Buffer): Promise<number> {
  const socket = connect(place);
  let got = 0;
  socket.on('data', (chunk) => (got += chunk.length));
  socket.on('error', () => undefined);
  socket.end(bytes);
  await once(socket, 'close');
  return got;
}

test('claims of gigabytes cost nobody memory', async () => {
  const disk = new MemoryDisk(2 ** 40);
  await using served = await Served.start({ disk, writer: disk });
  const opened = Buffer.concat([Buffer.from([0, 0, 0, 3]), option(OPTION.go, Buffer.alloc(6))]);
  const greedy = [
    encodeRequest({
      command: COMMAND.write,
      flags: 0,
      cookie: { high: 0, low: 1 },
      offset: 0,
      length: 0xffff_ffff,
    }),
    encodeRequest({
      command: COMMAND.read,
      flags: 0,
      cookie: { high: 0, low: 1 },
      offset: 0,
      length: 0xffff_ffff,
    }),
  ];
  const before = process.memoryUsage().arrayBuffers;
  for (const request of greedy) await talk(pathOf(served.place), Buffer.concat([opened, request]));
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 2 ** 20);
  assert.match(String(served.errors[0]), /a write of 4294967295 bytes/);
});

test('a server that falls silent is given up, in the negotiation and after', async () => {
  const answers = await realAnswers();
  const options = { answerTimeoutMs: 60, reconnectMs: 0, connections: 1 };
  for (const said of [0, 10, 18, 60]) {
    const server = createServer((client) =>
      client.on('error', () => undefined).write(answers.subarray(0, said)),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    await assert.rejects(
      NbdDisk.open(`nbd://127.0.0.1:${port}`, options),
      (error) => hasCode(error, 'NBD_TIMED_OUT'),
      `after ${said} bytes`,
    );
    server.close();
  }
  const disk = await randomDisk(4096);
  const silent = Promise.withResolvers<void>();
  disk.read = () => silent.promise;
  await using served = await Served.start({ disk });
  const nbd = await NbdDisk.open(served.address, options);
  await assert.rejects(nbd.read(0, Buffer.alloc(10)), (error) => hasCode(error, 'NBD_TIMED_OUT'));
  silent.resolve();
  await nbd.close();
});

test('a greeting of something else, and of an NBD too old, is named', async () => {
  for (const [hello, reason] of [
    [Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian\r\n'), /greet as an NBD server/],
    [oldGreeting(), /older form of NBD/],
  ] as const) {
    const server = createServer((client) => client.on('error', () => undefined).write(hello)).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await assert.rejects(NbdDisk.open(`nbd://127.0.0.1:${port}`), reason);
    server.close();
  }
});

function oldGreeting(): Buffer {
  const bytes = Buffer.alloc(152);
  greeting.write(bytes, { magic: GREETING_MAGIC, optionMagic: 0x0042_0281_8612_53n });
  return bytes;
}
