/** Hostile clients, and the faults of the connection on demand. */
import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { LabConnectionDrop } from '../cim.ts';
import { ENCRYPTED_HEADER, WireClient } from './client.fixture.ts';
import type { WireFaults } from './disturbance.ts';
import { FixtureProvider } from './provider.fixture.ts';
import { enumerate, invoke, pull, uriOf } from './requests.fixture.ts';
import { ADMIN, ask, faultOf, text, withWire, type Bench } from './wire.fixture.ts';
import { startWire } from './wire.ts';

const LIST = enumerate({ uri: uriOf('Msvm_ComputerSystem') });
const ECHO = invoke('Msvm_VirtualSystemManagementService', 'Echo', '');

/** What a raw text on a fresh connection is answered with until the server closes it. */
async function raw(port: number, ...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  let received = '';
  socket.on('data', (part) => (received += part.toString('latin1')));
  socket.on('error', () => undefined); // a reset is as good an end as any
  for (const part of parts) socket.write(part);
  await once(socket, 'close').catch(() => undefined);
  return received;
}

async function stillServes({ wire }: Bench): Promise<void> {
  using client = await WireClient.authenticated(wire.port, ADMIN);
  assert.equal((await ask(client, LIST)).status, 200);
}

test('broken HTTP is answered 400 and does not harm the server', () =>
  withWire({}, async (bench) => {
    const { port } = bench.wire;
    const broken = [
      'GET\r\n\r\n',
      'x'.repeat(1000) + '\r\n\r\n',
      'POST /wsman HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
      'POST /wsman HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      `POST /wsman HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
    ];
    for (const bytes of broken) assert.match(await raw(port, bytes), /^HTTP\/1\.1 400/, bytes.slice(0, 60));
    await stillServes(bench);
  }));

test('other paths are 404 and other methods 405', () =>
  withWire({}, async ({ wire }) => {
    const request = (line: string): Promise<string> =>
      raw(wire.port, `${line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    assert.match(await request('GET /wsman'), /^HTTP\/1\.1 405/);
    assert.match(await request('GET /'), /^HTTP\/1\.1 404/);
  }));

test('a body beyond the envelope limit is 413 before it is read, announced or not', () =>
  withWire({}, async (bench) => {
    const head = 'POST /wsman HTTP/1.1\r\nHost: a\r\n';
    assert.match(await raw(bench.wire.port, `${head}Content-Length: 99999999999\r\n\r\n`), /^HTTP\/1\.1 413/);
    // One byte too many and not more: a client that goes on sending may lose the answer to a reset.
    const bytes = 500 * 1024 + 4096 + 1;
    const chunk = `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`;
    assert.match(
      await raw(bench.wire.port, `${head}Transfer-Encoding: chunked\r\n\r\n`, chunk),
      /^HTTP\/1\.1 413/,
    );
    await stillServes(bench);
  }));

test('a client that dribbles or stays silent is cut off', () =>
  withWire({ traits: { receiveTimeoutMs: 100 } }, async (bench) => {
    const { port } = bench.wire;
    const head = 'POST /wsman HTTP/1.1\r\nHost: a\r\n';
    await Promise.all([raw(port), raw(port, head), raw(port, `${head}Content-Length: 10\r\n\r\nxx`)]);
    await stillServes(bench);
  }));

test('clients that vanish in the middle of a request or an answer do no harm', () =>
  withWire({}, async (bench) => {
    for (let count = 0; count < 20; count += 1) {
      using client = await WireClient.authenticated(bench.wire.port, ADMIN);
      client.socket.write('POST /wsman HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx');
      using other = await WireClient.authenticated(bench.wire.port, ADMIN);
      other.write([ENCRYPTED_HEADER], other.sealed(LIST));
    }
    await stillServes(bench);
  }));

test('more connections than MaxConnections are dropped', () =>
  withWire({ traits: { connectionsMax: 1 } }, async ({ wire, ask }) => {
    using second = await WireClient.connect(wire.port);
    await assert.rejects(second.post([], LIST), /closed/);
    assert.equal((await ask(LIST)).status, 200);
  }));

test('it listens on loopback only, unless told otherwise', async () => {
  const options = { provider: new FixtureProvider(), users: [] };
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org']) {
    await assert.rejects(startWire({ ...options, host }), /allowRemote/, host);
  }
  const wire = await startWire({ ...options, host: '0.0.0.0', allowRemote: true });
  await wire.close();
});

test('a taken port is an error and not silence', () =>
  withWire({}, async ({ wire, provider }) => {
    await assert.rejects(startWire({ provider, users: [], port: wire.port }), { code: 'EADDRINUSE' });
  }));

test('close ends connections that are in use', async () => {
  const wire = await startWire({ provider: new FixtureProvider(), users: [ADMIN] });
  using client = await WireClient.authenticated(wire.port, ADMIN);
  await wire.close();
  await assert.rejects(client.soap(LIST), /closed/);
});

test('statistics count requests by action, faults, connections and bytes', () =>
  withWire({}, async ({ ask, wire }) => {
    const context = text((await ask(LIST)).root, 'EnumerationContext')!;
    await ask(pull(context));
    await ask(pull(context));
    await ask(ECHO);
    assert.deepEqual(wire.stats.requests, { Enumerate: 1, Pull: 2, Echo: 1 });
    assert.deepEqual([wire.stats.faults, wire.stats.connections, wire.stats.internalErrors], [1, 1, 0]);
    assert.ok(wire.stats.receivedBytes > 2000 && wire.stats.sentBytes > 2000);
  }));

test('LabConnectionDrop of the model breaks the connection without an answer; the effect of the call stands', () =>
  withWire({}, async ({ client, provider }) => {
    provider.beforeAnswer = () => {
      throw new LabConnectionDrop();
    };
    await assert.rejects(client.soap(ECHO), /closed/);
    assert.equal(provider.calls.length, 1);
  }));

test('drop-before and drop-after break the connection, before or after the call took effect', async () => {
  for (const [kind, effects] of [
    ['drop-before', 0],
    ['drop-after', 1],
  ] as const) {
    await withWire({ faults: [{ action: 'Echo', kind }] }, async ({ client, provider, ask }) => {
      assert.equal((await ask(LIST)).status, 200, 'other actions pass');
      await assert.rejects(client.soap(ECHO), /closed/);
      assert.equal(provider.calls.length, effects, kind);
    });
  }
});

test('truncate, corrupt and expire spoil an answer so that a client must notice', async () => {
  await withWire({ faults: [{ action: '*', kind: 'truncate' }] }, ({ client }) =>
    assert.rejects(client.soap(LIST), /closed/),
  );
  await withWire({ faults: [{ action: '*', kind: 'corrupt' }] }, ({ client }) =>
    assert.rejects(client.soap(LIST), /genuine/),
  );
  await withWire({ faults: [{ action: '*', kind: 'expire' }] }, async ({ client }) => {
    const expired = await client.post([ENCRYPTED_HEADER], client.sealed(LIST));
    assert.equal(expired.status, 401);
    await client.authenticate(ADMIN);
    assert.equal((await client.soap(LIST)).status, 200, 'a new handshake on the same connection mends it');
  });
});

test('expire-after, fault and time-out: done and denied, not done, and done later', async () => {
  await withWire({ faults: [{ action: 'Echo', kind: 'expire-after' }] }, async ({ client, provider }) => {
    const denied = await client.post([ENCRYPTED_HEADER], client.sealed(ECHO));
    assert.deepEqual([denied.status, provider.calls.length], [401, 1]);
  });
  await withWire({ faults: [{ action: 'Echo', kind: 'fault' }] }, async ({ ask, provider }) => {
    assert.equal(faultOf(await ask(ECHO)).subcode, 'w:InternalError');
    assert.equal(provider.calls.length, 0);
  });
  const late = Promise.withResolvers<void>();
  const faults: WireFaults = [{ action: 'Echo', kind: 'time-out', wait: () => late.promise }];
  await withWire({ faults }, async ({ ask, provider }) => {
    assert.equal(faultOf(await ask(ECHO)).subcode, 'w:TimedOut');
    assert.equal(provider.calls.length, 0);
    const done = new Promise<void>((resolve) => (provider.beforeAnswer = resolve));
    late.resolve();
    await done;
    assert.equal(provider.calls.length, 1, 'the host goes on when nobody waits any more');
  });
});

test('a rule lets `after` requests pass, hits `times`, then is gone from the live list; delay only delays', () => {
  const faults: WireFaults = [];
  return withWire({ faults }, async ({ client, ask }) => {
    assert.equal((await ask(LIST)).status, 200);
    faults.push(
      { action: 'Enumerate', kind: 'delay', delayMs: 1, times: 2 },
      { action: 'Enumerate', kind: 'corrupt', after: 3 },
    );
    for (let count = 0; count < 3; count += 1) assert.equal((await ask(LIST)).status, 200);
    assert.equal(faults.length, 1);
    await assert.rejects(client.soap(LIST), /genuine/);
    assert.equal(faults.length, 0);
  });
});
