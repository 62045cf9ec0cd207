/** Servers that mean harm or are none: each gives a fault in finite time and bounded memory. */
import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { openWinrm } from './client.ts';
import { NTLM_FLAGS } from '../ntlm/format.ts';
import { change, Thing, thingXml } from './testing/classes.fixture.ts';
import {
  soapAnswer,
  startSealedServer,
  TEST_USER,
  type Heard,
  type Reaction,
} from './testing/sealed-server.fixture.ts';

/** Opens against a server that does `talk` on each connection, and returns the code of the fault. */
async function codeAgainst(talk: (socket: Socket) => void, signal?: AbortSignal): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    talk(socket);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await openWinrm({ url, credentials: TEST_USER, ...(signal ? { signal } : {}) });
    return 'opened';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

const answering =
  (text: string) =>
  (socket: Socket): void =>
    void socket.once('data', () => socket.write(text));

/** Keeps writing `piece` until the client hangs up. */
const endless =
  (head: string, piece: string) =>
  (socket: Socket): void => {
    const more = (): void => void (socket.writable && socket.write(piece, () => setImmediate(more)));
    socket.once('data', () => socket.write(head, more));
  };

const BEFORE_LOG_ON: Readonly<Record<string, readonly [talk: (socket: Socket) => void, code: string]>> = {
  'hangs up': [(socket) => void socket.destroy(), 'WINRM_CONNECTION_LOST'],
  'does not speak HTTP': [answering('SSH-2.0-OpenSSH_9.2\r\n\r\n'), 'WINRM_PROTOCOL_BROKEN'],
  'is another web server': [
    answering('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
    'WINRM_NOT_WINRM',
  ],
  'answers with a status that is none': [
    answering('HTTP/1.1 0 OK\r\nContent-Length: 0\r\n\r\n'),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'lets everybody in': [answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), 'WINRM_NOT_WINRM'],
  'offers only Basic': [
    answering('HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'),
    'WINRM_METHOD_NOT_OFFERED',
  ],
  'sends a challenge of four bytes': [
    answering('HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate AAAA\r\nContent-Length: 0\r\n\r\n'),
    'NTLM_BAD_CHALLENGE',
  ],
  'sends headers without end': [
    endless('HTTP/1.1 401 No\r\n', `X: ${'y'.repeat(1000)}\r\n`),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'sends one header line without end': [
    endless('HTTP/1.1 401 No\r\nX: ', 'y'.repeat(1000)),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'sends a body without end': [
    endless('HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n', `3e8\r\n${'y'.repeat(1000)}\r\n`),
    'WINRM_ENVELOPE_TOO_LARGE',
  ],
  'promises a body of 2^50 bytes': [
    answering('HTTP/1.1 401 No\r\nContent-Length: 1125899906842624\r\n\r\n'),
    'WINRM_ENVELOPE_TOO_LARGE',
  ],
  'gives two lengths': [
    answering('HTTP/1.1 401 No\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc'),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'switches to another protocol': [
    answering('HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    'WINRM_CONNECTION_LOST',
  ],
};

for (const [what, [talk, code]] of Object.entries(BEFORE_LOG_ON)) {
  test(`a server that ${what} gives ${code}`, async () => assert.equal(await codeAgainst(talk), code));
}

test('a server that takes the connection and says nothing is left after 20 s', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const silent = (socket: Socket): void => void socket.once('data', () => t.mock.timers.tick(20_000));
  assert.equal(await codeAgainst(silent), 'WINRM_SILENT');
});

test('a server that never answers is left when the caller cancels', async () => {
  const signal = AbortSignal.timeout(50);
  assert.equal(await codeAgainst(() => undefined, signal), (signal.reason as DOMException).code);
});

test('nobody listening gives WINRM_UNREACHABLE, and so does a name nobody has', async () => {
  const unused = createServer();
  await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
  const { port } = unused.address() as AddressInfo;
  await new Promise((resolve) => unused.close(resolve));
  for (const url of [`http://127.0.0.1:${port}`, 'http://nowhere.invalid']) {
    await assert.rejects(openWinrm({ url, credentials: TEST_USER }), { code: 'WINRM_UNREACHABLE' });
  }
});

for (const flag of ['seal', 'extendedSessionSecurity', 'keyExchange'] as const) {
  test(`a host that would not protect messages (no ${flag}) is refused`, async () => {
    await using server = await startSealedServer({ answer: () => '', withoutFlags: NTLM_FLAGS[flag] });
    await assert.rejects(openWinrm(server.options), { code: 'NTLM_SECURITY_REFUSED' });
    assert.deepEqual(server.logOns, []);
  });
}

const damaged = (change: (body: Buffer) => Buffer): ((heard: Heard) => Reaction) => {
  return (heard) => (response, seal) => {
    const body = change(seal(soapAnswer(heard, thingXml('a'))));
    response.writeHead(200, { 'Content-Type': 'multipart/encrypted' }).end(body);
  };
};
const flip = (body: Buffer, at: number): Buffer => {
  body[at]! ^= 1;
  return body;
};
const signatureAt = (body: Buffer): number =>
  body.indexOf('octet-stream\r\n') + 'octet-stream\r\n'.length + 4;
const text = (body: Buffer, from: RegExp, to: string): Buffer =>
  Buffer.from(body.toString('latin1').replace(from, to), 'latin1');

/** How an answer after the log-on can be wrong, and what is said of it. */
const AFTER_LOG_ON: Readonly<Record<string, readonly [answer: (heard: Heard) => Reaction, code: string]>> = {
  'one bit of the ciphertext changed': [
    damaged((body) => flip(body, signatureAt(body) + 20)),
    'WINRM_TAMPERED',
  ],
  'one bit of the signature changed': [
    damaged((body) => flip(body, signatureAt(body) + 5)),
    'WINRM_TAMPERED',
  ],
  'a length too large': [
    damaged((body) => text(body, /Length=\d+/, 'Length=999999999')),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'a length too small': [damaged((body) => text(body, /Length=\d+/, 'Length=1')), 'WINRM_PROTOCOL_BROKEN'],
  'no length': [damaged((body) => text(body, /;Length=\d+/, '')), 'WINRM_PROTOCOL_BROKEN'],
  'a signature length of 4 GiB': [
    damaged((body) => {
      body.writeUInt32LE(0xffffffff, signatureAt(body) - 4);
      return body;
    }),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'half of the frame': [damaged((body) => body.subarray(0, body.length / 2)), 'WINRM_PROTOCOL_BROKEN'],
  'nothing in the frame': [damaged(() => Buffer.alloc(0)), 'WINRM_PROTOCOL_BROKEN'],
  'bytes after the frame': [
    damaged((body) => Buffer.concat([body, Buffer.from('more')])),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'no sealing': [
    (heard) => (response) => {
      response
        .writeHead(200, { 'Content-Type': 'application/soap+xml' })
        .end(soapAnswer(heard, thingXml('a')));
    },
    'WINRM_SEALING_REFUSED',
  ],
  'text that is no XML': [() => 'hello', 'WINRM_PROTOCOL_BROKEN'],
  'nothing at all': [() => '', 'WINRM_PROTOCOL_BROKEN'],
  'XML that is no SOAP': [() => '<html/>', 'WINRM_PROTOCOL_BROKEN'],
  'a DOCTYPE with entities': [
    (heard) => `<!DOCTYPE x [<!ENTITY a "b">]>${soapAnswer(heard, thingXml('&a;'))}`,
    'WINRM_PROTOCOL_BROKEN',
  ],
  'an unknown entity': [(heard) => soapAnswer(heard, thingXml('&a;')), 'WINRM_PROTOCOL_BROKEN'],
  'an undeclared prefix': [(heard) => soapAnswer(heard, '<zz:Msvm_Thing/>'), 'WINRM_PROTOCOL_BROKEN'],
  'elements nested 100000 deep': [
    (heard) => soapAnswer(heard, '<x>'.repeat(100_000)),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'an empty body': [(heard) => soapAnswer(heard, ''), 'WINRM_PROTOCOL_BROKEN'],
  'an instance without its key': [
    (heard) => soapAnswer(heard, thingXml('a').replace(/<p:InstanceID>.*?<\/p:InstanceID>/, '')),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'a size beyond 64 bits': [
    (heard) => soapAnswer(heard, thingXml('a', '<p:Size>18446744073709551616</p:Size>')),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'two values for one': [
    (heard) => soapAnswer(heard, thingXml('a', '<p:Size>1</p:Size><p:Size>2</p:Size>')),
    'WINRM_PROTOCOL_BROKEN',
  ],
  'three times the bytes allowed': [
    (heard) => soapAnswer(heard, thingXml('a', `<p:Junk>${'j'.repeat(1_600_000)}</p:Junk>`)),
    'WINRM_ENVELOPE_TOO_LARGE',
  ],
};

for (const [what, [answer, code]] of Object.entries(AFTER_LOG_ON)) {
  test(`an answer with ${what} gives ${code}`, async () => {
    await using server = await startSealedServer({ answer });
    await using session = await openWinrm(server.options);
    await assert.rejects(session.get(Thing, { InstanceID: 'a' }), { code });
    await assert.rejects(change(session), { code: 'WINRM_EFFECT_UNKNOWN' });
  });
}

test('an answer that was good once is refused the second time', async () => {
  let kept: Buffer | undefined;
  await using server = await startSealedServer({
    answer: (heard) => (response, seal) => {
      const body = seal(soapAnswer(heard, thingXml('a')));
      kept ??= body;
      response.writeHead(200, { 'Content-Type': 'multipart/encrypted' }).end(kept);
    },
  });
  await using session = await openWinrm({ ...server.options, sessions: 1 });
  await session.get(Thing, { InstanceID: 'a' });
  await assert.rejects(session.get(Thing, { InstanceID: 'a' }), { code: 'WINRM_TAMPERED' });
});

test('a host that stops answering is left when the caller cancels, and the next call has a new connection', async () => {
  let silent = true;
  await using server = await startSealedServer({
    answer: (heard) => (silent ? () => undefined : soapAnswer(heard, thingXml('a'))),
  });
  await using session = await openWinrm({ ...server.options, sessions: 1 });
  const reason = new Error('enough');
  for (const call of [
    (signal: AbortSignal) => session.get(Thing, { InstanceID: 'a' }, { signal }),
    (signal: AbortSignal) => session.invoke(Thing, { InstanceID: 'a' }, 'Change', {}, { signal }),
  ]) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 30);
    await assert.rejects(call(controller.signal), reason);
  }
  silent = false;
  assert.equal((await session.get(Thing, { InstanceID: 'a' })).InstanceID, 'a');
  assert.equal(server.stats.connections, 3);
});
