/** Kerberos against a KDC and an acceptor of MIT: tickets from everywhere, both schemes, and everything that can be wrong. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { kerberosSecurity } from '../../src/auth/index.ts';
import { isFault } from '../../src/base/index.ts';
import { Credentials } from '../../src/ntlm/index.ts';
import { cimClass, openWinrm, type WinrmOptions, type WinrmSession } from '../../src/winrm/index.ts';
import {
  LATE,
  makeCertificate,
  REALM,
  requiresKerberos,
  startAcceptor,
  startRealm,
  startTlsRelay,
  USER,
  type Realm,
} from './kerberos.fixture.ts';

const needs = requiresKerberos('Kerberos: log-on, sealing, refusals, renewal');
const Echo = cimClass('Msvm_Echo', {
  properties: { User: 'string', Heard: 'uint32', Sealed: 'uint32', Padding: 'string' },
});
const NO_PASSWORD = { user: USER.user, password: () => Promise.reject(new Error('asked for a password')) };
const SERVICE = 'HTTP/localhost';

/** A realm, an acceptor with its service's key, and a session between them. */
async function withSession(
  options: Partial<WinrmOptions> & { readonly acceptor?: Readonly<Record<string, string>> },
  run: (session: WinrmSession, realm: Realm) => Promise<void>,
  prepare: (realm: Realm) => void = () => undefined,
): Promise<void> {
  await using realm = await startRealm();
  prepare(realm);
  const { acceptor: environment, ...more } = options;
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE), ...environment });
  const session = await openWinrm({ url: acceptor.url, credentials: USER, auth: 'kerberos', ...more });
  try {
    await run(session, realm);
  } finally {
    await session.close();
  }
}

for (const scheme of ['Negotiate', 'Kerberos']) {
  test(`${scheme}: sealed messages of all lengths on two connections at once`, needs, async () => {
    await withSession({ acceptor: { SCHEMES: scheme } }, async (session) => {
      const lengths = Array.from({ length: 40 }, (_, index) => index * 211);
      const echoes = await Promise.all(
        lengths.map((length) => session.get(Echo, { Key: 'é'.repeat(length) })),
      );
      const shortest = echoes[0]!.Heard!;
      assert.deepEqual(
        echoes.map((echo) => echo.Heard! - shortest),
        lengths.map((length) => 2 * length),
      );
      assert.ok(echoes.every((echo) => echo.User === USER.user));
      assert.ok(
        Math.max(...echoes.map((echo) => echo.Sealed!)) > 10,
        'the counters of one connection ran on',
      );
      assert.ok(echoes.some((echo) => echo.Padding!.length > 30_000));
    });
  });
}

test(
  'a ticket of kinit is used and no password asked for, also when nothing is configured',
  needs,
  async () => {
    for (const auth of ['kerberos', 'auto'] as const) {
      await withSession(
        { auth, credentials: NO_PASSWORD },
        async (session) => assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user),
        (realm) => realm.kinit(USER.password),
      );
    }
  },
);

test('a ticket of somebody else is not used', needs, async () => {
  const other = { user: `other@${REALM}`, password: 'secret' };
  await withSession(
    { credentials: other },
    async (session) => assert.equal((await session.get(Echo, { Key: 'a' })).User, other.user),
    (realm) => {
      realm.kinit(USER.password);
      realm.admin(`addprinc -pw ${other.password} other`);
    },
  );
});

test('a keytab gets its tickets anew whenever they end, and sessions go on', needs, async () => {
  await using realm = await startRealm();
  const keytab = realm.keytab('backup');
  for (const name of ['backup', SERVICE]) realm.admin(`modprinc -maxlife "3 seconds" ${name}`);
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  const options = {
    url: acceptor.url,
    credentials: NO_PASSWORD,
    auth: 'kerberos',
    keytab,
    sessions: 1,
  } as const;
  await using session = await openWinrm(options);
  const counts: number[] = [];
  for (let i = 0; i < 16; i += 1) {
    counts.push((await session.get(Echo, { Key: 'a' })).Sealed!);
    await pause(400);
  }
  const logOns = counts.filter((count, at) => at > 0 && count < counts[at - 1]!).length;
  assert.ok(logOns >= 2, `the messages counted by each connection: ${counts.join(' ')}`);
  assert.ok(logOns < 15, 'a connection is used while its ticket lives');
});

test('an expired ticket is replaced with the password', needs, async () => {
  let asked = 0;
  const password = async (): Promise<string> => ((asked += 1), USER.password);
  await withSession(
    { credentials: { user: USER.user, password } },
    async (session) => assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user),
    (realm) => {
      realm.kinit(USER.password, '-l', '1s');
      execFileSync('sleep', ['2.2']);
    },
  );
  assert.equal(asked, 1);
});

test('a host that forgets the log-on gets a new one', needs, async () => {
  await withSession({ acceptor: { FORGET_AFTER: '3' }, sessions: 1 }, async (session) => {
    const counts: number[] = [];
    for (let i = 0; i < 6; i += 1) counts.push((await session.get(Echo, { Key: 'a' })).Sealed!);
    assert.deepEqual(counts, [2, 3, 2, 3, 2, 3]);
  });
});

test('a service that was restarted is logged on to again', needs, async () => {
  await using realm = await startRealm();
  const environment = { KRB5_KTNAME: realm.keytab(SERVICE) };
  let acceptor = await startAcceptor(environment);
  const { url, port } = acceptor;
  await using session = await openWinrm({ url, credentials: USER, auth: 'kerberos', sessions: 2 });
  await Promise.all([0, 1].map(() => session.get(Echo, { Key: 'a' })));
  await acceptor[Symbol.asyncDispose]();
  await assert.rejects(session.get(Echo, { Key: 'a' }), { code: /^WINRM_(UNREACHABLE|CONNECTION_LOST)$/ });
  acceptor = await startAcceptor({ ...environment, PORT: String(port) });
  try {
    for (const sealed of [2, 3]) assert.equal((await session.get(Echo, { Key: 'a' })).Sealed, sealed);
  } finally {
    await acceptor[Symbol.asyncDispose]();
  }
});

test('without a user the owner of the ticket cache logs on, and without tickets nobody', needs, async () => {
  await using realm = await startRealm();
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  for (const auth of ['auto', 'kerberos'] as const) {
    realm.kinit(USER.password);
    {
      await using session = await openWinrm({ url: acceptor.url, auth });
      assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user);
    }
    realm.forgetTickets();
    await assert.rejects(openWinrm({ url: acceptor.url, auth }), {
      code: 'KERBEROS_NO_TICKET',
      message: /for the current user/,
    });
  }
});

test(
  'a ticket that ends, with nothing to get another by, ends the session with what to do',
  needs,
  async () => {
    await using realm = await startRealm();
    realm.kinit(USER.password, '-l', '3s');
    await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
    await using session = await openWinrm({ url: acceptor.url, auth: 'kerberos', sessions: 1 });
    await session.get(Echo, { Key: 'a' });
    // Kerberos counts in whole seconds: what ends at 3 is still good at 3.9.
    await pause(4500);
    await assert.rejects(
      session.get(Echo, { Key: 'a' }),
      (error: Error & { code: string; remedy: string }) => {
        assert.match(error.code, /^KERBEROS_(NO_TICKET|TICKET_EXPIRED)$/);
        assert.match(error.remedy, /kinit/);
        return true;
      },
    );
  },
);

for (const harm of ['flip', 'repeat']) {
  test(`an answer spoilt by ${harm} is not believed`, needs, async () => {
    await withSession({ acceptor: { HARM: harm } }, async (session) => {
      await assert.rejects(session.get(Echo, { Key: 'a' }), { code: 'WINRM_TAMPERED' });
    });
  });
}

/** What opening a session is refused with. */
async function refusal(options: Partial<WinrmOptions>, prepare?: (realm: Realm) => void): Promise<string> {
  const refused = await withSession(options, async () => assert.fail('it logged on'), prepare).catch(
    (error: unknown) => error,
  );
  return (refused as { code: string }).code;
}

test(
  'a wrong password, an unknown user and a disabled one are told apart, and none is tried by NTLM',
  needs,
  async () => {
    for (const auth of ['kerberos', 'auto'] as const) {
      const wrong = { user: USER.user, password: 'wrong' };
      assert.equal(await refusal({ auth, credentials: wrong }), 'KERBEROS_PASSWORD_REFUSED');
      const nobody = { user: `nobody@${REALM}`, password: 'x' };
      assert.equal(await refusal({ auth, credentials: nobody }), 'KERBEROS_ACCOUNT_REFUSED');
    }
    const disable = (realm: Realm): void => realm.admin('modprinc -allow_tix backup');
    assert.equal(await refusal({}, disable), 'KERBEROS_ACCOUNT_REFUSED');
  },
);

test('a keytab with an old key, and one that is missing', needs, async () => {
  await using realm = await startRealm();
  const keytab = realm.keytab('backup');
  realm.admin('cpw -pw another backup');
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  const options = { url: acceptor.url, credentials: NO_PASSWORD, auth: 'kerberos' } as const;
  await assert.rejects(openWinrm({ ...options, keytab }), { code: 'KERBEROS_PASSWORD_REFUSED' });
  await assert.rejects(openWinrm({ ...options, keytab: `${keytab}.missing` }), {
    code: 'KERBEROS_KEYTAB_UNUSABLE',
  });
});

test('a service the KDC does not know, and a host that has another key', needs, async () => {
  const forget = (realm: Realm): void => realm.admin(`delprinc -force ${SERVICE}`);
  await using realm = await startRealm({ services: [SERVICE, 'HTTP/other'] });
  const old = realm.keytab(SERVICE);
  realm.admin(`cpw -randkey ${SERVICE}`);
  await using acceptor = await startAcceptor({ KRB5_KTNAME: old });
  const options = { url: acceptor.url, credentials: USER, auth: 'kerberos' } as const;
  await assert.rejects(openWinrm(options), {
    code: /^(KERBEROS_SERVICE_REFUSED|WINRM_AUTHENTICATION_FAILED)$/,
  });
  forget(realm);
  await assert.rejects(openWinrm(options), { code: 'KERBEROS_SERVICE_UNKNOWN' });
});

test('clocks that differ by more than five minutes', requiresKerberos('clock skew', 'faketime'), async () => {
  await using realm = await startRealm();
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE), ...LATE });
  const options = { url: acceptor.url, credentials: USER, auth: 'kerberos' } as const;
  await assert.rejects(openWinrm(options), { code: 'KERBEROS_CLOCK_SKEW' });
});

test('keys of RC4 are refused', needs, async () => {
  await using realm = await startRealm({ types: 'arcfour-hmac:normal' });
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  const options = { url: acceptor.url, credentials: USER, auth: 'kerberos' } as const;
  await assert.rejects(openWinrm(options), { code: 'KERBEROS_TOO_WEAK' });
});

test('AES with SHA-2 seals as well', needs, async () => {
  await using realm = await startRealm({ types: 'aes256-cts-hmac-sha384-192:normal' });
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  await using session = await openWinrm({ url: acceptor.url, credentials: USER, auth: 'kerberos' });
  assert.equal((await session.get(Echo, { Key: 'ä'.repeat(999) })).User, USER.user);
});

test(
  'without a KDC, or without the service, NTLM is used; named alone, Kerberos says what is missing',
  needs,
  async () => {
    await using realm = await startRealm({ services: [] });
    const users = join(realm.folder, 'users');
    writeFileSync(users, `:${USER.user}:${USER.password}\n`, { mode: 0o600 });
    await using acceptor = await startAcceptor({ NTLM_USER_FILE: users });
    const options = { url: acceptor.url, credentials: USER };
    const open = async (auth?: 'kerberos'): Promise<void> => {
      await using session = await openWinrm({ ...options, ...(auth ? { auth } : {}) });
      assert.match((await session.get(Echo, { Key: 'a' })).User!, /backup/i);
    };
    await open();
    await assert.rejects(open('kerberos'), { code: 'KERBEROS_SERVICE_UNKNOWN' });
    await realm.killKdc();
    await open();
    await assert.rejects(open('kerberos'), { code: 'KERBEROS_SERVER_UNREACHABLE' });
    const wrong = { user: USER.user, password: 'wrong' };
    await assert.rejects(openWinrm({ ...options, credentials: wrong }), {
      code: 'WINRM_AUTHENTICATION_FAILED',
      message: /by NTLM \(no Kerberos: no Kerberos server/,
    });
  },
);

test(
  'a KDC that never answers is waited for no longer than said, and nothing else stands still',
  needs,
  async () => {
    await using realm = await startRealm();
    await realm.killKdc();
    const sockets: Socket[] = [];
    const configuration = join(realm.folder, 'krb5.conf');
    const silent = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    writeFileSync(
      configuration,
      readFileSync(configuration, 'utf8').replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`),
    );
    try {
      const target = { host: 'localhost', service: 'HTTP' } as const;
      const credentials = new Credentials(USER.user, USER.password);
      const opening = kerberosSecurity(credentials, { timeoutSeconds: 1 })(target);
      await assert.rejects(opening, { code: 'KERBEROS_TIMED_OUT' });
      const controller = new AbortController();
      const cancelled = kerberosSecurity(credentials)(target, controller.signal);
      controller.abort(new Error('enough'));
      await assert.rejects(cancelled, /enough/);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  },
);

test(
  'whatever a host answers to the first token, there is a fault and the process lives',
  needs,
  async () => {
    await using realm = await startRealm();
    realm.kinit(USER.password);
    const provider = kerberosSecurity(new Credentials(USER.user, ''));
    // The frame of a Kerberos token (RFC 4121 4.1) around what is no answer: an AP-REP, an error, and neither.
    const frame = (id: number, inner: Uint8Array): Uint8Array => {
      const oid = Buffer.from('06092a864886f712010202', 'hex');
      const content = Buffer.concat([oid, Uint8Array.of(id, 0), inner]);
      return Buffer.concat([Uint8Array.of(0x60, 0x81, content.length), content]);
    };
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 110 });
    const token = fc.oneof(
      bytes,
      fc.tuple(fc.integer({ min: 1, max: 4 }), bytes).map(([id, inner]) => frame(id, inner)),
    );
    await fc.assert(
      fc.asyncProperty(token, async (answer) => {
        using context = await provider({ host: 'localhost', service: 'HTTP' });
        await context.step();
        await assert.rejects(
          context.step(answer),
          (error) => isFault(error) && error.code.startsWith('KERBEROS_'),
        );
        assert.ok(!context.complete);
      }),
      { numRuns: 300 },
    );
  },
);

const tlsNeeds = requiresKerberos('channel binding of Kerberos', 'openssl');

test('over https the log-on names the certificate of the host, and of no other', tlsNeeds, async () => {
  await using realm = await startRealm();
  const [mine, other] = ['mine', 'other'].map((name) => makeCertificate(realm.folder, name)) as [
    string,
    string,
  ];
  const environment = { KRB5_KTNAME: realm.keytab(SERVICE), TLS_FILE: mine };
  await using acceptor = await startAcceptor(environment);
  const options = { credentials: USER, auth: 'kerberos', ca: readFileSync(mine, 'utf8') } as const;
  await using session = await openWinrm({ ...options, url: acceptor.url });
  assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user);
  await using between = await startTlsRelay(other, acceptor.port);
  await assert.rejects(openWinrm({ ...options, url: between.url, insecure: true }), {
    code: /^(KERBEROS_BINDING_REFUSED|KERBEROS_FAILED|WINRM_AUTHENTICATION_FAILED)$/,
  });
});
