/** Servers that mean harm, or are something else: each gets a fault of its kind in bounded time, and nothing is believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createSmbClient } from './client.ts';
import { SmbConnection } from './connection.ts';
import { HEADER_FLAG, type Command } from './format.ts';
import { STATUS } from './status.ts';
import {
  framed,
  reply,
  startFalseServer,
  TEST_KEYS,
  TEST_SESSION,
  type Heard,
} from './testing/false-server.fixture.ts';
import { SAMBA_REPLIES } from './testing/recorded.fixture.ts';
import { Sealing } from './transform.ts';

const ANSWER_TIMEOUT_MS = 400;
const never = new AbortController().signal;

async function openConnection(port: number): Promise<SmbConnection> {
  const target = { host: '127.0.0.1', port, connectTimeoutMs: 2000, answerTimeoutMs: ANSWER_TIMEOUT_MS };
  const connection = await SmbConnection.open(target, never);
  connection.enterSession(TEST_SESSION);
  connection.protect(new Sealing(TEST_KEYS, TEST_SESSION), 4096);
  return connection;
}

const ask = (connection: SmbConnection, command: Command = 'ECHO'): Promise<unknown> =>
  connection.request({ command, body: Uint8Array.of(4, 0, 0, 0) });

/** What the server does with a request after the log-on → what becomes of the request. */
const ENCRYPTED: Readonly<Record<string, readonly [(heard: Heard) => void, string]>> = {
  'says nothing': [() => undefined, 'SMB_TIMED_OUT'],
  'hangs up': [({ socket }) => socket.destroy(), 'SMB_CONNECTION_LOST'],
  'ends politely': [({ socket }) => socket.end(), 'SMB_CONNECTION_LOST'],
  'answers in clear text': [
    (heard) => heard.socket.write(framed(reply(heard, Buffer.alloc(4)))),
    'SMB_TAMPERED',
  ],
  'says in clear text that the session is gone': [
    (heard) =>
      heard.socket.write(framed(reply(heard, Buffer.alloc(9), { status: STATUS.USER_SESSION_DELETED }))),
    'SMB_CONNECTION_LOST',
  ],
  'sends a box nobody sealed': [
    ({ socket }) => socket.write(framed(Buffer.concat([Buffer.from('fd534d42', 'hex'), Buffer.alloc(200)]))),
    'SMB_TAMPERED',
  ],
  'answers another message': [
    (heard) => heard.send(reply(heard, Buffer.alloc(4), { messageId: heard.header.messageId + 1n })),
    'SMB_PROTOCOL_BROKEN',
  ],
  'answers with an id beyond every number': [
    (heard) => heard.send(reply(heard, Buffer.alloc(4), { messageId: 0xffff_ffff_ffff_ffffn })),
    'SMB_PROTOCOL_BROKEN',
  ],
  'answers another command': [
    (heard) => heard.send(reply(heard, Buffer.alloc(4), { command: 9 })),
    'SMB_PROTOCOL_BROKEN',
  ],
  'sends a request': [
    (heard) => heard.send(reply(heard, Buffer.alloc(4), { flags: 0 })),
    'SMB_PROTOCOL_BROKEN',
  ],
  'chains answers': [
    (heard) => heard.send(reply(heard, Buffer.alloc(100), { nextCommand: 72 })),
    'SMB_PROTOCOL_BROKEN',
  ],
  'seals something that is no message': [
    (heard) => heard.send(Buffer.alloc(64, 0xaa)),
    'SMB_PROTOCOL_BROKEN',
  ],
  'seals less than a header': [(heard) => heard.send(Buffer.alloc(20)), 'SMB_TAMPERED'],
  'announces more than was asked for': [
    ({ socket }) => socket.write(Buffer.from('00ffffff', 'hex')),
    'SMB_PROTOCOL_BROKEN',
  ],
  'sends half of an answer': [
    (heard) => heard.socket.write(framed(reply(heard, Buffer.alloc(4))).subarray(0, 40)),
    'SMB_TIMED_OUT',
  ],
  'speaks another protocol': [
    ({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n'),
    'SMB_PROTOCOL_BROKEN',
  ],
  'says "not yet" and no more': [(heard) => heard.send(notYet(heard)), 'SMB_TIMED_OUT'],
  'says "not yet" again and again': [
    (heard) => {
      heard.send(notYet(heard));
      heard.send(notYet(heard));
    },
    'SMB_PROTOCOL_BROKEN',
  ],
};

function notYet(heard: Heard): Buffer {
  const flags = HEADER_FLAG.response | HEADER_FLAG.async;
  return reply(heard, Buffer.alloc(9), { status: STATUS.PENDING, flags });
}

for (const [name, [answer, code]] of Object.entries(ENCRYPTED)) {
  test(`a server that ${name} gives ${code}, to every request under way and every later one`, async () => {
    await using server = await startFalseServer(answer);
    const connection = await openConnection(server.port);
    const asked = [ask(connection), ask(connection)];
    for (const result of await Promise.allSettled(asked)) {
      assert.ok(result.status === 'rejected' && hasCode(result.reason, code), String(Object.values(result)));
    }
    assert.equal(connection.usable, false);
    await assert.rejects(ask(connection), (error) => hasCode(error, code));
  });
}

test('a server that answers twice is not believed the second time', async () => {
  await using server = await startFalseServer((heard) => {
    heard.send(reply(heard, Buffer.alloc(4)));
    heard.send(reply(heard, Buffer.alloc(4)));
  });
  const connection = await openConnection(server.port);
  await ask(connection);
  await assert.rejects(ask(connection), (error) => hasCode(error, 'SMB_PROTOCOL_BROKEN'));
});

test('an old answer sent again is no answer to a new request', async () => {
  let first: Buffer | undefined;
  await using server = await startFalseServer((heard) => {
    first ??= reply(heard, Buffer.alloc(4));
    heard.send(first);
  });
  const connection = await openConnection(server.port);
  await ask(connection);
  await assert.rejects(ask(connection), (error) => hasCode(error, 'SMB_PROTOCOL_BROKEN'));
});

test('a server that takes back every credit ends the connection instead of the program', async () => {
  await using server = await startFalseServer((heard) =>
    heard.send(reply(heard, Buffer.alloc(4), { credits: 0 })),
  );
  const connection = await openConnection(server.port);
  await ask(connection);
  await assert.rejects(ask(connection), (error) => hasCode(error, 'SMB_CONNECTION_LOST'));
});

test('answers in any order find their requests', async () => {
  const held: (() => void)[] = [];
  await using server = await startFalseServer((heard) => {
    const id = Number(heard.header.messageId);
    held.push(() => heard.send(reply(heard, Buffer.alloc(4, id))));
    if (id === 0) held.splice(0).forEach((send) => send());
    if (held.length === 9)
      held
        .splice(0)
        .toReversed()
        .forEach((send) => send());
  });
  const connection = await openConnection(server.port);
  await ask(connection);
  const replies = await Promise.all(
    Array.from({ length: 9 }, () => connection.request({ command: 'ECHO', body: Buffer.alloc(4) })),
  );
  assert.deepEqual(
    replies.map(({ bytes }) => bytes[64]),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
});

/** What a server answers to the first message → what opening a file gives. */
const NEGOTIATION: Readonly<Record<string, readonly [(heard: Heard) => void, string]>> = {
  'knows only old dialects': [
    (heard) => heard.send(reply(heard, Buffer.alloc(9), { status: STATUS.NOT_SUPPORTED })),
    'SMB_DIALECT_REFUSED',
  ],
  'chooses SMB 3.0.2': [(heard) => heard.send(negotiated(heard, 68, 0x0302)), 'SMB_DIALECT_REFUSED'],
  'chooses no cipher': [(heard) => heard.send(negotiated(heard, CIPHER_AT, 0)), 'SMB_ENCRYPTION_REFUSED'],
  'chooses a cipher that was not offered': [
    (heard) => heard.send(negotiated(heard, CIPHER_AT, 1)),
    'SMB_ENCRYPTION_REFUSED',
  ],
  'chooses a hash that was not offered': [
    (heard) => heard.send(negotiated(heard, 220, 9)),
    'SMB_PROTOCOL_BROKEN',
  ],
  'takes reads of single bytes only': [
    (heard) => heard.send(negotiated(heard, 64 + 32, 1)),
    'SMB_PROTOCOL_BROKEN',
  ],
  'names no session and no challenge': [
    (heard) => {
      if (heard.header.command === 0) return heard.send(negotiated(heard));
      heard.send(reply(heard, Buffer.alloc(8), { status: STATUS.MORE_PROCESSING_REQUIRED }));
    },
    'SMB_PROTOCOL_BROKEN',
  ],
  'lets in whoever comes, without a log-on': [
    (heard) => {
      if (heard.header.command === 0) return heard.send(negotiated(heard));
      heard.send(reply(heard, Buffer.from('0900000000000000', 'hex'), { sessionId: 5n }));
    },
    'SMB_PROTOCOL_BROKEN',
  ],
  'lets in a guest': [
    (heard) => {
      if (heard.header.command === 0) return heard.send(negotiated(heard));
      heard.send(reply(heard, Buffer.from('0900010000000000', 'hex'), { sessionId: 5n }));
    },
    'SMB_GUEST_REFUSED',
  ],
  'speaks SSH': [({ socket }) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'), 'SMB_PROTOCOL_BROKEN'],
};
/** Where the chosen cipher lies in the recorded answer of Samba. */
const CIPHER_AT = 266;

/** Samba's recorded answer to NEGOTIATE, with one 16-bit field changed. */
function negotiated(heard: Heard, at?: number, value = 0): Buffer {
  const body = Buffer.from(SAMBA_REPLIES.negotiate.subarray(64));
  if (at !== undefined) body.writeUInt16LE(value, at - 64);
  return reply(heard, body);
}

for (const [name, [answer, code]] of Object.entries(NEGOTIATION)) {
  test(`a server that ${name} gives ${code} before anything derived from the password is sent`, async () => {
    const commands: number[] = [];
    await using server = await startFalseServer((heard) => {
      commands.push(heard.header.command);
      answer(heard);
    });
    await using client = createSmbClient({
      host: '127.0.0.1',
      port: server.port,
      credentials: { user: 'u', password: 'p' },
      answerTimeoutSeconds: 1,
    });
    await assert.rejects(client.open('C$', 'a.vhdx'), (error) => hasCode(error, code));
    assert.ok(commands.filter((command) => command === 1).length <= 1, 'no second log-on message');
  });
}

test('nobody listening gives SMB_UNREACHABLE', async () => {
  const server = await startFalseServer(() => undefined);
  await server[Symbol.asyncDispose]();
  await using client = createSmbClient({
    host: '127.0.0.1',
    port: server.port,
    credentials: { user: 'u', password: 'p' },
  });
  await assert.rejects(client.open('C$', 'a.vhdx'), (error) => hasCode(error, 'SMB_UNREACHABLE'));
});
