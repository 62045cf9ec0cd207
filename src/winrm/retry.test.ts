/** Broken connections: what is repeated, and what is not because it may have happened. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { openWinrm, type WinrmSession } from './client.ts';
import { ACTION } from './soap/names.ts';
import { allOf, change, outputXml, pageXml, Thing, thingXml } from './testing/classes.fixture.ts';
import {
  soapAnswer,
  soapFault,
  startSealedServer,
  type Heard,
  type Reaction,
} from './testing/sealed-server.fixture.ts';

const OK = (heard: Heard): string =>
  soapAnswer(
    heard,
    heard.action === ACTION.get
      ? thingXml('a')
      : outputXml(/\w+$/.exec(heard.action)![0], '<p:ReturnValue>0</p:ReturnValue>'),
  );

type Cut = (response: ServerResponse, seal: (xml: string) => Buffer, heard: Heard) => void;

/** Every place at which a connection can break once the request is on its way. */
const CUTS: Readonly<Record<string, Cut>> = {
  'before any answer': (response) => response.socket?.destroy(),
  'by a reset': (response) => (response.socket as unknown as { resetAndDestroy(): void }).resetAndDestroy(),
  'in the status line': (response) => response.socket?.end('HTTP/1.1 20'),
  'in the headers': (response) => response.socket?.end('HTTP/1.1 200 OK\r\nContent-Type: multi'),
  'in the body': (response, seal, heard) => {
    const body = seal(OK(heard));
    response.writeHead(200, { 'Content-Type': 'multipart/encrypted', 'Content-Length': body.length });
    response.write(body.subarray(0, body.length - 40));
    setTimeout(() => response.socket?.destroy(), 10);
  },
  'by an unsealed 503': (response) => void response.writeHead(503).end('busy'),
};

/** A host that breaks the first `times` requests and answers the others. */
async function breaking(
  cut: Cut,
  times: number,
  run: (session: WinrmSession, heard: Heard[]) => Promise<void>,
): Promise<void> {
  let left = times;
  await using server = await startSealedServer({
    answer(heard): Reaction {
      if (left === 0) return OK(heard);
      left -= 1;
      return (response, seal) => cut(response, seal, heard);
    },
  });
  await using session = await openWinrm({ ...server.options, sessions: 1 });
  await run(session, server.heard);
}

for (const [where, cut] of Object.entries(CUTS)) {
  test(`a method whose connection breaks ${where} is not repeated: its effect is unknown`, async () => {
    await breaking(cut, 1, async (session, heard) => {
      await assert.rejects(change(session), { code: 'WINRM_EFFECT_UNKNOWN' });
      assert.equal(heard.length, 1, 'the host heard it once');
      assert.equal((await change(session)).returnValue, 0, 'and the session goes on');
    });
  });

  test(`a read whose connection breaks ${where} is repeated once on another`, async () => {
    await breaking(cut, 1, async (session, heard) => {
      assert.equal((await session.get(Thing, { InstanceID: 'a' })).InstanceID, 'a');
      assert.deepEqual(
        heard.map(({ connection }) => connection),
        [1, 2],
      );
    });
  });
}

const EXPIRED: Cut = (response) => void response.writeHead(401, { 'WWW-Authenticate': 'Negotiate' }).end();

test('a read the host answers with a new demand to log on is sent again after one, once', async () => {
  const read = (session: WinrmSession) => session.get(Thing, { InstanceID: 'a' });
  await breaking(EXPIRED, 1, async (session, heard) => {
    await read(session);
    assert.deepEqual(
      heard.map(({ connection }) => connection),
      [1, 2],
    );
  });
  await breaking(EXPIRED, 2, async (session, heard) => {
    await assert.rejects(read(session), { code: 'WINRM_SESSION_EXPIRED' });
    assert.equal(heard.length, 2, 'a host that always forgets is not asked for ever');
  });
});

test('a method the host answers with a new demand to log on is not sent again: who says so may not be the host', async () => {
  await breaking(EXPIRED, 1, async (session, heard) => {
    await assert.rejects(change(session), { code: 'WINRM_SESSION_EXPIRED' });
    assert.equal(heard.length, 1);
    await change(session);
    assert.deepEqual(
      heard.map(({ connection }) => connection),
      [1, 2],
      'the next call logs on anew',
    );
  });
});

test('a read that breaks twice is given up', async () => {
  await breaking(CUTS['before any answer']!, 2, async (session, heard) => {
    await assert.rejects(session.get(Thing, { InstanceID: 'a' }), { code: 'WINRM_CONNECTION_LOST' });
    assert.equal(heard.length, 2);
  });
});

test('after a break the other idle connections are not trusted: a host that restarted has closed them all', async () => {
  let broken = false;
  await using server = await startSealedServer({
    answer: (heard): Reaction =>
      heard.connection > 2 || !broken ? OK(heard) : (response) => response.socket?.destroy(),
  });
  await using session = await openWinrm({ ...server.options, sessions: 2 });
  const read = (): Promise<unknown> => session.get(Thing, { InstanceID: 'a' });
  await Promise.all([read(), read()]);
  broken = true;
  await read();
  assert.deepEqual(
    server.heard.slice(2).map(({ connection }) => connection > 2),
    [false, true],
  );
});

test('a connection idle for over a minute is replaced before a method is risked on it', async (context) => {
  await using server = await startSealedServer({ answer: OK });
  await using session = await openWinrm({ ...server.options, sessions: 1 });
  await change(session);
  context.mock.timers.enable({ apis: ['Date'], now: Date.now() + 61_000 });
  await change(session);
  await change(session);
  assert.deepEqual(
    server.heard.map(({ connection }) => connection),
    [1, 2, 2],
  );
});

test('a method that only computes is repeated like a read', async () => {
  await breaking(CUTS['before any answer']!, 1, async (session, heard) => {
    const result = await session.invoke(Thing, { InstanceID: 'a' }, 'Look', {});
    assert.deepEqual(result, { returnValue: 0, Offsets: [] });
    assert.equal(heard.length, 2);
  });
});

/** Ends a connection from the host's side and waits until the client has ended its side too. */
async function hangUp({ socket }: Heard): Promise<void> {
  socket.end();
  await once(socket, 'close');
}

test('a method is sent on a new connection when the old one died while idle', async () => {
  await using server = await startSealedServer({ answer: OK });
  await using session = await openWinrm({ ...server.options, sessions: 1 });
  await change(session);
  await hangUp(server.heard[0]!);
  assert.equal((await change(session)).returnValue, 0);
  assert.deepEqual(
    server.heard.map(({ connection }) => connection),
    [1, 2],
  );
});

test('a method whose log-on breaks was not sent, so it is tried again', async () => {
  let logOnsToBreak = 0;
  await using server = await startSealedServer({
    answer: OK,
    intercept(request) {
      if (!request.headers.authorization || logOnsToBreak === 0) return false;
      logOnsToBreak -= 1;
      request.socket.destroy();
      return true;
    },
  });
  await using session = await openWinrm({ ...server.options, sessions: 1 });
  await change(session);
  await hangUp(server.heard[0]!);
  logOnsToBreak = 1;
  assert.equal((await change(session)).returnValue, 0);
  assert.equal(server.heard.length, 2);
});

test('what the host itself refuses has no unknown effect', async () => {
  await using server = await startSealedServer({ answer: (heard) => soapFault(heard, 5) });
  await using session = await openWinrm(server.options);
  await assert.rejects(change(session), { code: 'WINRM_ACCESS_DENIED' });
});

test('a method the host gave up waiting for may go on: its effect is unknown', async () => {
  await using server = await startSealedServer({
    answer: (heard) => soapFault(heard, 2150858793, 'w:TimedOut'),
  });
  await using session = await openWinrm(server.options);
  await assert.rejects(change(session), (error: Error & { code: string }) => {
    assert.equal(error.code, 'WINRM_EFFECT_UNKNOWN');
    assert.equal((error.cause as { code: string }).code, 'WINRM_TIMED_OUT');
    return true;
  });
  await assert.rejects(session.get(Thing, { InstanceID: 'a' }), { code: 'WINRM_TIMED_OUT' });
});

test('an answer nobody can read leaves the effect unknown', async () => {
  await using server = await startSealedServer({ answer: (heard) => soapAnswer(heard, '<odd/>') });
  await using session = await openWinrm(server.options);
  await assert.rejects(change(session), { code: 'WINRM_EFFECT_UNKNOWN' });
});

test('an enumeration broken after its first page is not stitched together: the caller starts again', async () => {
  let first = true;
  await using server = await startSealedServer({
    answer(heard): Reaction {
      if (heard.action !== ACTION.pull)
        return soapAnswer(heard, pageXml('EnumerateResponse', [thingXml('a')], 'uuid:1'));
      if (!first) return soapAnswer(heard, pageXml('PullResponse', [thingXml('b')]));
      first = false;
      return (response) => response.socket?.destroy();
    },
  });
  await using session = await openWinrm(server.options);
  await assert.rejects(allOf(session.enumerate(Thing)), { code: 'WINRM_CONNECTION_LOST' });
  assert.deepEqual(
    (await allOf(session.enumerate(Thing))).map((thing) => thing.InstanceID),
    ['a', 'b'],
  );
});
