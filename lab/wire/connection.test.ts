/** Authentication and the connection, one test a trait: each name ends with where the trait was seen or is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENCRYPTED_HEADER, WireClient, authenticateToken, authorization } from './client.fixture.ts';
import { enumerate, uriOf } from './requests.fixture.ts';
import { ADMIN, withWire } from './wire.fixture.ts';

const LIST = enumerate({ uri: uriOf('Msvm_ComputerSystem') });

test('a request without authentication is answered 401 with Negotiate, on every connection anew (MS-WSMV 2.2.9.1)', () =>
  withWire({}, async ({ wire, ask }) => {
    using other = await WireClient.connect(wire.port);
    const answer = await other.post([], LIST);
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Negotiate']);
    assert.equal((await ask(LIST)).status, 200, 'the first connection keeps its session');
    assert.equal((await other.authenticate(ADMIN)).status, 200, 'and the second can have its own');
  }));

test('Basic and other schemes are refused (WinRM service defaults: Basic=false)', () =>
  withWire({}, async ({ wire }) => {
    using other = await WireClient.connect(wire.port);
    const basic = Buffer.from(`${ADMIN.user}:${ADMIN.password}`).toString('base64');
    for (const header of [
      `Basic ${basic}`,
      `Kerberos ${basic}`,
      'Negotiate',
      'Negotiate !',
      `Negotiate ${basic}`,
    ]) {
      const answer = await other.post([`Authorization: ${header}`], LIST);
      assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Negotiate'], header);
    }
    assert.deepEqual(wire.stats.requests, {});
  }));

test('a wrong password is 401 without a token, and is counted', () =>
  withWire({}, async ({ wire }) => {
    using other = await WireClient.connect(wire.port);
    const answer = await other.authenticate({ ...ADMIN, password: 'wrong' });
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Negotiate']);
    assert.equal(wire.stats.refusedAuthentications, 1);
  }));

test('the handshake belongs to the connection: its last message on another one is refused (MS-NTHT: NTLM authenticates the connection)', () =>
  withWire({}, async ({ wire }) => {
    using first = await WireClient.connect(wire.port);
    using second = await WireClient.connect(wire.port);
    const { negotiate, challenge } = await first.challenge();
    const { token } = authenticateToken(negotiate, challenge!, ADMIN);
    assert.equal((await second.post([authorization(token)])).status, 401);
    assert.equal((await first.post([authorization(token)])).status, 200);
  }));

test('a request that slips into a handshake ends it (go-wsman ADR-0004: seven parallel calls, seven 401)', () =>
  withWire({}, async ({ wire }) => {
    using other = await WireClient.connect(wire.port);
    const { negotiate, challenge } = await other.challenge();
    assert.equal((await other.post([], LIST)).status, 401);
    const { token } = authenticateToken(negotiate, challenge!, ADMIN);
    assert.equal((await other.post([authorization(token)])).status, 401);
  }));

test('requests on top of each other are all 401 and cost the connection its session (go-wsman ADR-0004)', () =>
  withWire({}, async ({ client }) => {
    const sealed = [client.sealed(LIST), client.sealed(LIST)];
    client.socket.cork(); // in one packet, so that the second is there before the first is answered
    for (const body of sealed) client.write([ENCRYPTED_HEADER], body);
    client.socket.uncork();
    for (const _ of sealed) assert.equal((await client.read()).status, 401);
    assert.equal((await client.post([ENCRYPTED_HEADER], client.sealed(LIST))).status, 401);
  }));

test('an unsealed body is refused with an empty HTTP 500 after authentication (WinRM service defaults: AllowUnencrypted=false)', () =>
  withWire({}, async ({ client, wire }) => {
    const answer = await client.post(['Content-Type: application/soap+xml;charset=UTF-8'], LIST);
    assert.deepEqual([answer.status, answer.body.length], [500, 0]);
    assert.deepEqual(wire.stats.requests, {});
  }));

test('a sealed body may travel with the last message of the handshake (seen with OMI and MIT Kerberos)', () =>
  withWire({}, async ({ client, wire }) => {
    const { negotiate, challenge } = await client.challenge();
    const { token, key } = authenticateToken(negotiate, challenge!, ADMIN);
    client.useKey(key);
    const answer = await client.post([authorization(token), ENCRYPTED_HEADER], client.sealed(LIST));
    assert.match(client.open(answer), /EnumerateResponse/);
    assert.equal(wire.stats.requests['Enumerate'], 1);
  }));

test('every sealed answer is signed in sequence over a long session', () =>
  withWire({}, async ({ ask }) => {
    for (let count = 0; count < 50; count += 1) assert.equal((await ask(LIST)).status, 200);
  }));

test('a repeated, changed or wrongly framed message is 400 and ends the connection', () =>
  withWire({}, async ({ wire }) => {
    const spoil: ((client: WireClient) => Promise<Uint8Array>)[] = [
      async (client) => {
        const sealed = client.sealed(LIST);
        await client.post([ENCRYPTED_HEADER], sealed);
        return sealed;
      },
      async (client) => {
        const sealed = client.sealed(LIST);
        sealed[sealed.length - 100]! ^= 1;
        return sealed;
      },
      async (client) => client.sealed(LIST).subarray(0, 300),
      async () => Buffer.from('--Encrypted Boundary\r\n'),
    ];
    for (const body of spoil) {
      using client = await WireClient.authenticated(wire.port, ADMIN);
      assert.equal((await client.post([ENCRYPTED_HEADER], await body(client))).status, 400);
      await assert.rejects(client.read(), /closed/);
    }
  }));

test('an idle connection is closed (HTTP.sys, idle timeout)', () =>
  withWire({ traits: { idleConnectionMs: 50 } }, async ({ client, ask }) => {
    assert.equal((await ask(LIST)).status, 200);
    await assert.rejects(client.read(), /closed/);
  }));

test('the caller the model sees is DOMAIN\\user, the domain of a local account being the host', () =>
  withWire({}, async ({ client, provider }) => {
    const uri = uriOf('Msvm_ImageManagementService');
    const body = `<p:Echo_INPUT xmlns:p="${uri}"></p:Echo_INPUT>`;
    const xml = enumerate({ uri, selectors: { Name: 'vmms' } })
      .replace(/<n:Enumerate>.*<\/n:Enumerate>/, body)
      .replace(/(<a:Action[^>]*>)[^<]*/, `$1${uri}/Echo`);
    assert.equal((await client.soap(xml)).status, 200);
    assert.equal(provider.calls[0]?.caller.user, 'HV1\\admin');
  }));
