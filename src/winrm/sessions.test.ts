/** One pool for a whole host: as many connections as agreed and not one more, whatever happens to them, and none left behind. */
import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { openWinrm, type WinrmOptions } from './client.ts';
import { ACTION } from './soap/names.ts';
import { change, outputXml, Thing, thingXml } from './testing/classes.fixture.ts';
import {
  soapAnswer,
  startSealedServer,
  type Heard,
  type Reaction,
  type SealedServer,
} from './testing/sealed-server.fixture.ts';

const VMS = 500;
const SESSIONS = 4;

interface Watched {
  readonly server: SealedServer;
  /** Connections of ours and requests under way, at most. */
  readonly most: { connections: number; requests: number; onOneConnection: number };
  /** With connections that are counted at our end. */
  readonly options: WinrmOptions;
  /** Connections at the host's end. */
  readonly open: () => number;
}

/** A host that counts what is open at each request, and does with a request what `react` says. */
async function watch(react: (heard: Heard) => Promise<Reaction>): Promise<Watched & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const requests = new Map<Socket, number>();
  const most = { connections: 0, requests: 0, onOneConnection: 0 };
  const server = await startSealedServer({
    intercept({ socket }) {
      if (!sockets.has(socket)) sockets.add(socket.on('close', () => sockets.delete(socket)));
      return false;
    },
    async answer(heard) {
      const { socket } = heard;
      requests.set(socket, (requests.get(socket) ?? 0) + 1);
      most.onOneConnection = Math.max(most.onOneConnection, requests.get(socket)!);
      most.requests = Math.max(most.requests, [...requests.values()].filter(Boolean).length);
      try {
        return await react(heard);
      } finally {
        requests.set(socket, requests.get(socket)! - 1);
      }
    },
  });
  const ours: Socket[] = [];
  const createConnection = async (address: string, port: number): Promise<Socket> => {
    const socket = connect(port, address);
    ours.push(socket);
    most.connections = Math.max(most.connections, ours.filter(({ destroyed }) => !destroyed).length);
    await once(socket, 'connect');
    return socket;
  };
  return {
    server,
    most,
    options: { ...server.options, createConnection },
    open: () => sockets.size,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const good = (heard: Heard): string =>
  soapAnswer(
    heard,
    heard.action === ACTION.get ? thingXml('a') : outputXml('Change', '<p:ReturnValue>0</p:ReturnValue>'),
  );

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Resolves once nothing is open; the test's own time limit ends a wait for what never happens. */
async function untilClosed(open: () => number): Promise<void> {
  while (open() > 0) await soon();
}

test(`${VMS} VMs at once over one pool of ${SESSIONS}: never more connections, and none afterwards`, async () => {
  await using host = await watch(async (heard) => (await soon(), good(heard)));
  {
    await using session = await openWinrm({ ...host.options, sessions: SESSIONS });
    const vms = Array.from({ length: VMS }, async () => {
      await session.get(Thing, { InstanceID: 'a' });
      return await change(session);
    });
    assert.equal((await Promise.all(vms)).length, VMS);
  }
  assert.equal(host.server.heard.length, 2 * VMS);
  assert.equal(host.server.stats.connections, SESSIONS, 'each is made once and kept');
  assert.equal(host.most.connections, SESSIONS);
  assert.equal(host.most.onOneConnection, 1);
  await untilClosed(host.open);
});

type Mishap = 'good' | 'reset' | 'forgotten' | 'rubbish';
const MISHAPS: Readonly<Record<Mishap, (heard: Heard) => Reaction>> = {
  good,
  reset: () => (response) => void response.socket?.destroy(),
  forgotten: () => (response) =>
    void response.writeHead(401, { 'WWW-Authenticate': 'Negotiate', 'Content-Length': 0 }).end(),
  rubbish: () => (response) => void response.writeHead(200, { 'Content-Length': 2 }).end('no'),
};
const EXPECTED = ['WINRM_CONNECTION_LOST', 'WINRM_EFFECT_UNKNOWN', 'WINRM_SESSION_EXPIRED'];

test('whatever breaks, and whoever gives up, the pool keeps its size, forgets nobody and leaves nothing', async () => {
  const mishap = fc.constantFrom<Mishap>('good', 'good', 'reset', 'forgotten', 'rubbish');
  const plan = fc.record({
    sessions: fc.integer({ min: 1, max: 4 }),
    mishaps: fc.array(mishap, { maxLength: 30 }),
    calls: fc.array(fc.constantFrom('read', 'change', 'cancelled'), { minLength: 1, maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ sessions, mishaps, calls }) => {
      const left = [...mishaps];
      await using host = await watch(async (heard) => (await soon(), MISHAPS[left.shift() ?? 'good'](heard)));
      const run = new AbortController();
      {
        await using session = await openWinrm({ ...host.options, sessions });
        const outcomes = await Promise.allSettled(
          calls.map(async (call, index) => {
            if (call === 'change') return await change(session);
            const giveUp = new AbortController();
            if (call === 'cancelled') queueMicrotask(() => giveUp.abort(new Error('given up')));
            const { signal } = index % 2 === 0 && call === 'cancelled' ? giveUp : run;
            return await session.get(Thing, { InstanceID: 'a' }, { signal });
          }),
        );
        for (const outcome of outcomes) {
          if (outcome.status === 'fulfilled') continue;
          const { reason } = outcome as { reason: Error };
          assert.ok(reason.message === 'given up' || hasCode(reason, ...EXPECTED), String(reason));
        }
        left.length = 0;
        // A read that follows a break may meet the next broken connection; one of its repetitions is enough.
        assert.equal((await session.get(Thing, { InstanceID: 'a' })).InstanceID, 'a');
      }
      assert.ok(host.most.connections <= sessions, `${host.most.connections} of ${sessions} connections`);
      assert.ok(host.most.requests <= sessions);
      assert.equal(host.most.onOneConnection, 1);
      assert.equal(getEventListeners(run.signal, 'abort').length, 0, 'nobody listens any more');
      await untilClosed(host.open);
    }),
    { numRuns: 60 },
  );
});

test('500 that wait and give up leave the one that works alone, and those that stay get their turn', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  await using host = await watch(async (heard) => (await held, good(heard)));
  await using session = await openWinrm({ ...host.options, sessions: 1 });
  const first = session.get(Thing, { InstanceID: 'a' });
  const giveUp = new AbortController();
  const waiting = Array.from({ length: VMS }, (_, index) =>
    session.get(Thing, { InstanceID: 'a' }, index % 2 === 0 ? { signal: giveUp.signal } : {}),
  );
  const outcomes = Promise.allSettled(waiting);
  await soon();
  giveUp.abort(new Error('given up'));
  release();
  assert.equal((await first).InstanceID, 'a');
  const kept = (await outcomes).filter(({ status }) => status === 'fulfilled').length;
  assert.equal(kept, VMS / 2);
  assert.equal(host.server.heard.length, 1 + VMS / 2);
  assert.deepEqual(host.most, { connections: 1, requests: 1, onOneConnection: 1 });
});

test('an operation has a time limit: a read says so, of a method the effect is unknown', async (context) => {
  const { promise: heard, resolve: isHeard } = Promise.withResolvers<void>();
  const { promise: second, resolve: isSecond } = Promise.withResolvers<void>();
  await using server = await startSealedServer({
    async answer(request) {
      (request.action === ACTION.get ? isHeard : isSecond)();
      return await new Promise<never>(() => undefined);
    },
  });
  const options = { ...server.options, sessions: 2, operationTimeoutSeconds: 5 };
  await using session = await openWinrm(options);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const read = assert.rejects(session.get(Thing, { InstanceID: 'a' }), {
    code: 'WINRM_TIMED_OUT',
    message: /within 35 s/,
  });
  await heard;
  const changed = assert.rejects(change(session), { code: 'WINRM_EFFECT_UNKNOWN' });
  await second;
  context.mock.timers.tick(34_999);
  assert.equal(server.stats.connections, 2);
  context.mock.timers.tick(1);
  await Promise.all([read, changed]);
});
