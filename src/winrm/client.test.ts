/** What is sent, what is understood, what is repeated: the client against a server of the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { openWinrm } from './client.ts';
import { embedded, cimClass } from './schema.ts';
import { ACTION } from './soap/names.ts';
import { allOf, change, outputXml, pageXml, Thing, THING_URI, thingXml } from './testing/classes.fixture.ts';
import {
  soapAnswer,
  soapFault,
  startSealedServer,
  TEST_USER,
  type Heard,
  type Reaction,
  type SealedServer,
  type SealedServerOptions,
} from './testing/sealed-server.fixture.ts';

async function withHost(
  answer: (heard: Heard) => Reaction | Promise<Reaction>,
  run: (session: Awaited<ReturnType<typeof openWinrm>>, server: SealedServer) => Promise<void>,
  options: Omit<SealedServerOptions, 'answer'> & { sessions?: number; pageSize?: number } = {},
): Promise<void> {
  await using server = await startSealedServer({ ...options, answer });
  await using session = await openWinrm({
    ...server.options,
    sessions: options.sessions ?? 2,
    pageSize: options.pageSize ?? 64,
  });
  await run(session, server);
}

test('opening logs on once, sealed, and knows what the host says of itself', async () => {
  await withHost(
    () => '',
    async (session, server) => {
      assert.deepEqual(session.identity?.vendor, 'Test');
      assert.deepEqual(
        server.logOns.map(({ user, domain, accepted }) => ({ user, domain, accepted })),
        [{ user: 'backup', domain: 'LAB', accepted: true }],
      );
      assert.equal(server.stats.connections, 1);
    },
  );
});

test('a host whose challenge has no timestamp is logged on to without MIC', async () => {
  await withHost(
    (heard) => soapAnswer(heard, thingXml('a')),
    async (session) => {
      assert.equal((await session.get(Thing, { InstanceID: 'a' })).InstanceID, 'a');
    },
    { withoutTimestamp: true },
  );
});

test('a host that answers Identify with a fault has still proved the log-on', async () => {
  await withHost(
    () => '',
    async (session) => assert.equal(session.identity, undefined),
    { identify: (heard) => soapFault(heard, 1) },
  );
});

test('get names class and keys, asks within the limits, and decodes by the schema', async () => {
  const inner =
    '<p:Size>18446744073709551615</p:Size><p:States>2</p:States><p:Owner xsi:nil="true"/>' +
    '<p:Since xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common"><cim:Datetime>2026-07-29T14:10:59.467886Z</cim:Datetime></p:Since>';
  await withHost(
    (heard) => soapAnswer(heard, thingXml('a&amp;b', inner)),
    async (session, server) => {
      assert.deepEqual(await session.get(Thing, { InstanceID: 'a&b' }), {
        InstanceID: 'a&b',
        Size: 18446744073709551615n,
        States: [2],
        Owner: null,
        Since: { date: new Date('2026-07-29T14:10:59.467Z') },
      });
      const { xml, action } = server.heard[0]!;
      assert.equal(action, ACTION.get);
      assert.ok(xml.includes(`<w:ResourceURI s:mustUnderstand="true">${THING_URI}</w:ResourceURI>`));
      assert.ok(xml.includes('<w:Selector Name="InstanceID">a&amp;b</w:Selector>'));
      assert.ok(xml.includes('<w:MaxEnvelopeSize s:mustUnderstand="true">512000<'));
      assert.ok(xml.includes('<w:OperationTimeout>PT60.000S<'));
    },
  );
});

test('enumerate asks for many at once, pulls until the end, and takes items of both namespaces', async () => {
  const pages = [
    pageXml('EnumerateResponse', [thingXml('a')], 'uuid:1'),
    pageXml('PullResponse', [thingXml('b'), thingXml('c')], 'uuid:2'),
    pageXml('PullResponse', [thingXml('d')]),
  ];
  await withHost(
    (heard) => soapAnswer(heard, pages.shift()!),
    async (session, server) => {
      const things = await allOf(session.enumerate(Thing));
      assert.deepEqual(
        things.map((thing) => thing.InstanceID),
        ['a', 'b', 'c', 'd'],
      );
      assert.deepEqual(
        server.heard.map(({ action }) => action),
        [ACTION.enumerate, ACTION.pull, ACTION.pull],
      );
      assert.ok(server.heard[0]!.xml.includes('<w:OptimizeEnumeration/><w:MaxElements>64</w:MaxElements>'));
      assert.ok(
        server.heard[1]!.xml.includes(
          '<n:EnumerationContext>uuid:1</n:EnumerationContext><n:MaxElements>64<',
        ),
      );
      assert.ok(server.heard[2]!.xml.includes('uuid:2'));
    },
  );
});

test('a Pull answer that leaves its context out is continued with the one before', async () => {
  const pages = [
    pageXml('EnumerateResponse', [thingXml('a')], 'uuid:1'),
    `<n:PullResponse><n:Items>${thingXml('b')}</n:Items></n:PullResponse>`,
    pageXml('PullResponse', [thingXml('c')]),
  ];
  await withHost(
    (heard) => soapAnswer(heard, pages.shift()!),
    async (session, server) => {
      const things = await allOf(session.enumerate(Thing));
      assert.deepEqual(
        things.map((thing) => thing.InstanceID),
        ['a', 'b', 'c'],
      );
      assert.ok(server.heard[2]!.xml.includes('uuid:1'));
    },
  );
});

test('an enumeration that stops without context and without end is not taken for complete', async () => {
  await withHost(
    (heard) =>
      soapAnswer(heard, `<n:EnumerateResponse><w:Items>${thingXml('a')}</w:Items></n:EnumerateResponse>`),
    async (session) => {
      await assert.rejects(allOf(session.enumerate(Thing)), { code: 'WINRM_PROTOCOL_BROKEN' });
    },
  );
});

test('an enumeration given up half-way is released on the host', async () => {
  await withHost(
    (heard) =>
      soapAnswer(
        heard,
        heard.action === ACTION.enumerate ? pageXml('EnumerateResponse', [thingXml('a')], 'uuid:1') : '',
      ),
    async (session, server) => {
      for await (const thing of session.enumerate(Thing)) {
        assert.equal(thing.InstanceID, 'a');
        break;
      }
      assert.equal(server.heard.at(-1)!.action, ACTION.release);
      assert.ok(server.heard.at(-1)!.xml.includes('uuid:1'));
    },
  );
});

test('an enumeration that never ends is stopped', async () => {
  await withHost(
    (heard) =>
      soapAnswer(
        heard,
        pageXml(heard.action === ACTION.enumerate ? 'EnumerateResponse' : 'PullResponse', [], 'uuid:1'),
      ),
    async (session) => {
      await assert.rejects(allOf(session.enumerate(Thing)), { code: 'WINRM_PROTOCOL_BROKEN' });
    },
  );
});

test('a query goes to the resource `*` in the WQL dialect', async () => {
  await withHost(
    (heard) => soapAnswer(heard, pageXml('EnumerateResponse', [])),
    async (session, server) => {
      assert.deepEqual(await allOf(session.query(Thing, 'SELECT * FROM Msvm_Thing WHERE Size < 5')), []);
      const { xml } = server.heard[0]!;
      assert.ok(xml.includes('/root/virtualization/v2/*</w:ResourceURI>'));
      assert.ok(
        xml.includes(
          '<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">SELECT * FROM Msvm_Thing WHERE Size &lt; 5</w:Filter>',
        ),
      );
    },
  );
});

const Settings = cimClass('Msvm_Settings', {
  properties: { Level: 'uint8', Note: 'string', Wait: 'datetime' },
});

test('invoke writes each kind of parameter as a host takes it, in the order of the class', async () => {
  await withHost(
    (heard) => soapAnswer(heard, outputXml('Change', '<p:ReturnValue>0</p:ReturnValue>')),
    async (session, server) => {
      const result = await session.invoke(Thing, { InstanceID: 'a' }, 'Change', {
        Delay: { intervalSeconds: 1.5 },
        Settings: embedded(Settings, { Level: 1, Note: 'R&D "x"', Wait: { intervalSeconds: 1800 } }),
        Sizes: [1n, 18446744073709551615n],
        Target: { className: 'Msvm_ComputerSystem', keys: { Name: 'guid' } },
        Name: 'disk <1>',
      });
      assert.deepEqual(result, { returnValue: 0, Job: null });
      const { xml, action } = server.heard[0]!;
      assert.equal(action, `${THING_URI}/Change`);
      const body = /<s:Body>(.*)<\/s:Body>/.exec(xml)![1];
      assert.equal(
        body,
        '<p:Change_INPUT><p:Name>disk &lt;1&gt;</p:Name>' +
          '<p:Target><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address>' +
          '<a:ReferenceParameters><w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_ComputerSystem</w:ResourceURI>' +
          '<w:SelectorSet><w:Selector Name="Name">guid</w:Selector></w:SelectorSet></a:ReferenceParameters></p:Target>' +
          '<p:Sizes>1</p:Sizes><p:Sizes>18446744073709551615</p:Sizes>' +
          '<p:Settings>&lt;INSTANCE CLASSNAME="Msvm_Settings"&gt;&lt;PROPERTY NAME="Level" TYPE="uint8"&gt;&lt;VALUE&gt;1&lt;/VALUE&gt;&lt;/PROPERTY&gt;' +
          '&lt;PROPERTY NAME="Note" TYPE="string"&gt;&lt;VALUE&gt;R&amp;amp;D "x"&lt;/VALUE&gt;&lt;/PROPERTY&gt;' +
          '&lt;PROPERTY NAME="Wait" TYPE="datetime"&gt;&lt;VALUE&gt;00000000003000.000000:000&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;</p:Settings>' +
          '<p:Delay><cim:Interval>P0DT0H0M1.5S</cim:Interval></p:Delay></p:Change_INPUT>',
      );
    },
  );
});

test('the job a method started is read from a wrapped and from an unwrapped reference', async () => {
  const inner =
    '<a:ReferenceParameters><w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_StorageJob</w:ResourceURI>' +
    '<w:SelectorSet><w:Selector Name="InstanceID">J1</w:Selector></w:SelectorSet></a:ReferenceParameters>';
  for (const job of [inner, `<a:EndpointReference>${inner}</a:EndpointReference>`]) {
    await withHost(
      (heard) =>
        soapAnswer(heard, outputXml('Change', `<p:ReturnValue>4096</p:ReturnValue><p:Job>${job}</p:Job>`)),
      async (session) => {
        assert.deepEqual(await change(session), {
          returnValue: 4096,
          Job: { className: 'Msvm_StorageJob', keys: { InstanceID: 'J1' } },
        });
      },
    );
  }
});

test('an answer to another request is refused', async () => {
  await withHost(
    (heard) => soapAnswer({ ...heard, messageId: 'uuid:0' }, thingXml('a')),
    async (session) => {
      await assert.rejects(session.get(Thing, { InstanceID: 'a' }), { code: 'WINRM_PROTOCOL_BROKEN' });
    },
  );
});

test('a request larger than the host takes is not sent', async () => {
  await withHost(
    () => '',
    async (session, server) => {
      const Sizes = Array.from({ length: 30_000 }, () => 2n ** 63n);
      await assert.rejects(session.invoke(Thing, { InstanceID: 'a' }, 'Change', { Sizes }), {
        code: 'WINRM_UNSENDABLE',
      });
      assert.deepEqual(server.heard, []);
    },
  );
});

test('a wrong password says so at once', async () => {
  await using server = await startSealedServer({ answer: () => '' });
  const credentials = { user: 'LAB\\backup', password: 'wrong' };
  await assert.rejects(openWinrm({ ...server.options, credentials }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'WINRM_AUTHENTICATION_FAILED');
    assert.match(error.message, /LAB\\backup/);
    return true;
  });
});

test('a password the host has refused is not offered again: the account would be locked', async () => {
  await using server = await startSealedServer({
    answer(heard) {
      heard.socket.destroy();
      return () => undefined;
    },
  });
  const secrets = [TEST_USER.password, 'changed', 'changed', 'changed'];
  const credentials = { user: TEST_USER.user, password: async () => secrets.shift()! };
  await using session = await openWinrm({ ...server.options, credentials });
  for (let attempt = 0; attempt < 4; attempt += 1) {
    await assert.rejects(session.get(Thing, { InstanceID: 'a' }), { code: 'WINRM_AUTHENTICATION_FAILED' });
  }
  assert.deepEqual(
    server.logOns.map(({ accepted }) => accepted),
    [true, false],
  );
});

test('the password shows in no error, JSON or inspection of a session', async () => {
  const seen: string[] = [];
  const show = (value: unknown): number =>
    seen.push(inspect(value, { depth: 20, showHidden: true }), JSON.stringify(value), String(value));
  await using server = await startSealedServer({ answer: (heard) => soapFault(heard, 5) });
  await using session = await openWinrm(server.options);
  show(session);
  await session.get(Thing, { InstanceID: 'a' }).catch(show);
  await openWinrm({
    ...server.options,
    credentials: { user: 'LAB\\other', password: TEST_USER.password },
  }).catch(show);
  const secretUrl = server.url.replace('http://', `http://backup:${encodeURIComponent(TEST_USER.password)}@`);
  await openWinrm({ ...server.options, url: secretUrl }).catch(show);
  assert.equal(seen.length, 12, 'three failures and the session were looked at');
  for (const text of seen) {
    assert.ok(
      !text.includes(TEST_USER.password) && !text.includes(encodeURIComponent(TEST_USER.password)),
      text,
    );
  }
});

test('never more requests at once than sessions, never two on one connection, and none is lost', async () => {
  const busy = new Set<number>();
  let most = 0;
  await withHost(
    async (heard) => {
      assert.ok(!busy.has(heard.connection));
      busy.add(heard.connection);
      most = Math.max(most, busy.size);
      await new Promise((resolve) => setTimeout(resolve, 3));
      busy.delete(heard.connection);
      return soapAnswer(heard, thingXml(/InstanceID">(\w+)</.exec(heard.xml)![1]!));
    },
    async (session, server) => {
      const ids = Array.from({ length: 40 }, (_, index) => `t${index}`);
      const things = await Promise.all(ids.map((id) => session.get(Thing, { InstanceID: id })));
      assert.deepEqual(
        things.map((thing) => thing.InstanceID),
        ids,
      );
      assert.equal(most, 3);
      assert.equal(server.stats.connections, 3);
    },
    { sessions: 3 },
  );
});

test('a cancelled wait for a free connection ends at once and disturbs nobody', async () => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  await withHost(
    async (heard) => {
      await gate;
      return soapAnswer(heard, thingXml('a'));
    },
    async (session) => {
      const running = session.get(Thing, { InstanceID: 'a' });
      const controller = new AbortController();
      const waiting = session.get(Thing, { InstanceID: 'b' }, { signal: controller.signal });
      const behind = session.get(Thing, { InstanceID: 'c' });
      controller.abort(new Error('enough'));
      await assert.rejects(waiting, { message: 'enough' });
      release();
      assert.equal((await running).InstanceID, 'a');
      assert.equal((await behind).InstanceID, 'a', 'the one behind it had its turn');
    },
    { sessions: 1 },
  );
});

test('a session that was closed says so, to those waiting too', async () => {
  await withHost(
    () => () => undefined,
    async (session) => {
      const calls = [0, 1, 2].map(() => session.get(Thing, { InstanceID: 'a' }));
      setTimeout(() => void session.close(), 20);
      await Promise.all(calls.map((call) => assert.rejects(call, { code: 'WINRM_CLOSED' })));
      await assert.rejects(change(session), { code: 'WINRM_CLOSED' });
    },
    { sessions: 1 },
  );
});
