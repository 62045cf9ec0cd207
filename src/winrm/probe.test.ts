/** What is found out of a host before anybody logs on. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openWinrm } from './client.ts';
import { probeWinrm } from './probe.ts';
import { soapAnswer, startSealedServer, type Heard } from './testing/sealed-server.fixture.ts';

const CONFIG = (settings: string): string =>
  `<cfg:Config xmlns:cfg="http://schemas.microsoft.com/wbem/wsman/1/config">${settings}</cfg:Config>`;

test('a look at a host tells what it offers and how its clock stands, and logs nobody on', async () => {
  await using server = await startSealedServer({
    answer: () => '',
    intercept: (_request, response) => {
      const ahead = new Date(Date.now() + 600_000).toUTCString();
      response.writeHead(401, {
        'WWW-Authenticate': 'Negotiate, Kerberos, Basic realm="WSMAN"',
        Date: ahead,
      });
      response.end();
      return true;
    },
  });
  const { offers, clockAheadMs } = await probeWinrm({ url: server.url });
  assert.deepEqual(offers, ['Negotiate', 'Kerberos', 'Basic']);
  assert.ok(Math.abs(clockAheadMs! - 600_000) < 60_000, String(clockAheadMs));
  assert.deepEqual(server.logOns, []);
});

test('a web server at the address is told from a WinRM service', async () => {
  const server = createServer((_request, response) => void response.end('welcome'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await assert.rejects(probeWinrm({ url: `http://127.0.0.1:${port}` }), { code: 'WINRM_NOT_WINRM' });
  server.close();
  server.closeAllConnections();
});

test('a port that takes the connection and says nothing is left after 10 s', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => t.mock.timers.tick(10_000));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await assert.rejects(probeWinrm({ url: `http://127.0.0.1:${port}` }), { code: 'WINRM_SILENT' });
  server.close();
});

test('the settings of the service are read where the host tells them; nonsense counts as not told', async () => {
  const answers = [
    '<cfg:MaxEnvelopeSizekb>150</cfg:MaxEnvelopeSizekb>',
    '<cfg:MaxEnvelopeSizekb>much</cfg:MaxEnvelopeSizekb>',
  ];
  const heard: Heard[] = [];
  await using server = await startSealedServer({
    answer: (call) => soapAnswer((heard.push(call), call), CONFIG(answers.shift()!)),
  });
  await using session = await openWinrm(server.options);
  assert.deepEqual(await session.serviceSettings(), { maxEnvelopeKiB: 150 });
  assert.deepEqual(await session.serviceSettings(), {});
  assert.match(heard[0]!.xml, /ResourceURI[^>]*>http:\/\/schemas.microsoft.com\/wbem\/wsman\/1\/config</);
});

test('a tap hears every request with its answer, faults too', async () => {
  const exchanges: { request: string; answer: string }[] = [];
  await using server = await startSealedServer({ answer: (call) => soapAnswer(call, CONFIG('')) });
  await using session = await openWinrm({
    ...server.options,
    tap: (exchange) => void exchanges.push(exchange),
  });
  await session.serviceSettings();
  assert.equal(exchanges.length, 1);
  assert.match(exchanges[0]!.request, /transfer\/Get/);
  assert.ok(exchanges[0]!.answer.includes(CONFIG('')));
});
