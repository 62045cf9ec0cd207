/** Connections that nobody uses: closed by us before the host does it, and never in the way of the next request. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { openWinrm } from './client.ts';
import { Thing, thingXml } from './testing/classes.fixture.ts';
import { soapAnswer, startSealedServer } from './testing/sealed-server.fixture.ts';

test('an idle connection is closed by us, and the next request makes a new one', async () => {
  await using server = await startSealedServer({ answer: (heard) => soapAnswer(heard, thingXml('a')) });
  await using session = await openWinrm({ ...server.options, sessions: 1, idleSeconds: 0.2 });
  await session.get(Thing, { InstanceID: 'a' });
  const closed = closeOf(server.heard.at(-1)!.socket);
  await closed;
  await session.get(Thing, { InstanceID: 'a' });
  assert.deepEqual(
    server.heard.map(({ connection }) => connection),
    [1, 2],
  );
});

test('of several connections those in use stay', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  await using server = await startSealedServer({
    async answer(heard) {
      if (heard.xml.includes('slow')) await held;
      return soapAnswer(heard, thingXml('a'));
    },
  });
  await using session = await openWinrm({ ...server.options, sessions: 2, idleSeconds: 0.2 });
  const slow = session.get(Thing, { InstanceID: 'slow' });
  await session.get(Thing, { InstanceID: 'quick' });
  await closeOf(server.heard.find(({ xml }) => xml.includes('quick'))!.socket);
  release();
  assert.equal((await slow).InstanceID, 'a');
});

async function closeOf(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}
