/**
 * The log-on by Windows (src/auth/sspi-*.ts), down to the C functions: those of secur32.c, which stand on MIT Kerberos and
 * gss-ntlmssp, against acceptors that are not ours. Windows itself is not there.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { sspiSecurity, type SecurityProvider } from '../../src/auth/index.ts';
import type { SecurityFunctions, SecurityPackage } from '../../src/auth/sspi-functions.ts';
import { SspiError } from '../../src/auth/sspi-status.ts';
import { Credentials } from '../../src/ntlm/index.ts';
import { createSmbClient } from '../../src/smb/index.ts';
import { cimClass, openWinrm, type WinrmOptions, type WinrmSession } from '../../src/winrm/index.ts';
import {
  LATE,
  makeCertificate,
  REALM,
  startAcceptor,
  startRealm,
  startTlsRelay,
  USER,
  type Realm,
} from './kerberos.fixture.ts';
import { requiresSamba, startSamba } from './samba.fixture.ts';
import { buildSecur32, requiresSecur32, type Secur32 } from './secur32.fixture.ts';

const needs = requiresSecur32('the log-on by Windows, as far as it can be without Windows');
const Echo = cimClass('Msvm_Echo', {
  properties: { User: 'string', Heard: 'uint32', Sealed: 'uint32', Padding: 'string' },
});
const SERVICE = 'HTTP/localhost';
const NOBODY = undefined;

let secur32: Secur32;
before(async () => {
  if (needs.skip === undefined) secur32 = await buildSecur32();
});
after(() => secur32?.[Symbol.dispose]());

type Identity = { user: string; password: string } | undefined;

function security(name: SecurityPackage, identity: Identity): Pick<WinrmOptions, 'security'> {
  const credentials = identity && new Credentials(identity.user, identity.password);
  return { security: sspiSecurity(name, credentials, { functions: async () => secur32.functions }) };
}

interface Situation {
  readonly acceptor?: Readonly<Record<string, string>>;
  readonly prepare?: (realm: Realm) => void;
  readonly options?: Partial<WinrmOptions>;
  readonly package?: SecurityPackage;
  readonly identity?: Identity;
}

/** A realm, an acceptor, and a session by Windows between them; what it held of Windows is given back at the end. */
async function withSession(
  situation: Situation,
  run: (session: WinrmSession, realm: Realm) => Promise<void>,
) {
  await using realm = await startRealm();
  situation.prepare?.(realm);
  const environment = { KRB5_KTNAME: realm.keytab(SERVICE), ...situation.acceptor };
  await using acceptor = await startAcceptor(environment);
  const identity = 'identity' in situation ? situation.identity : USER;
  const options = { url: acceptor.url, ...security(situation.package ?? 'Kerberos', identity) };
  const open = async (): Promise<void> => {
    await using session = await openWinrm({ ...options, ...situation.options });
    await run(session, realm);
  };
  await open().finally(() => assert.deepEqual(secur32.held(), [0, 0, 0], 'everything was given back'));
}

for (const [name, scheme] of [
  ['Kerberos', 'Negotiate'],
  ['Kerberos', 'Kerberos'],
  ['Negotiate', 'Negotiate'],
] as const) {
  test(
    `package ${name}, scheme ${scheme}: sealed messages of all lengths on two connections`,
    needs,
    async () => {
      await withSession({ package: name, acceptor: { SCHEMES: scheme } }, async (session) => {
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
        assert.ok(echoes.some((echo) => echo.Padding!.length > 30_000));
      });
    },
  );
}

for (const name of ['Kerberos', 'Negotiate'] as const) {
  test(
    `package ${name}: the account that runs hvlift logs on without a user or a password`,
    needs,
    async () => {
      const prepare = (realm: Realm): void => realm.kinit(USER.password);
      await withSession({ package: name, identity: NOBODY, prepare }, async (session) => {
        assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user);
      });
    },
  );
}

test('a domain of its own, as in REALM\\user, is handed to Windows as one', needs, async () => {
  await withSession({ identity: { ...USER, user: `${REALM}\\backup` } }, async (session) => {
    assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user);
  });
});

for (const name of ['NTLM', 'Negotiate'] as const) {
  test(`package ${name}: NTLM by Windows, with its own seals`, needs, async () => {
    await using realm = await startRealm({ services: [] });
    const users = join(realm.folder, 'users');
    writeFileSync(users, 'LAB:backup:Pä$$w0rd\n', { mode: 0o600 });
    await using acceptor = await startAcceptor({ NTLM_USER_FILE: users });
    const identity = { user: 'LAB\\backup', password: 'Pä$$w0rd' };
    {
      await using session = await openWinrm({ url: acceptor.url, ...security(name, identity) });
      for (let i = 0; i < 5; i += 1) {
        const { User: user, Sealed: sealed } = await session.get(Echo, { Key: 'ü'.repeat(i * 999) });
        assert.match(user!, /backup/i);
        assert.equal(sealed, i + 2);
      }
    }
    const wrong = security(name, { ...identity, password: 'wrong' });
    await assert.rejects(openWinrm({ url: acceptor.url, ...wrong }), {
      code: name === 'NTLM' ? 'WINRM_AUTHENTICATION_FAILED' : 'SSPI_FAILED',
    });
    assert.deepEqual(secur32.held(), [0, 0, 0]);
  });
}

test(
  'a host whose NTLM is weak is refused before Windows answers it, also inside SPNEGO',
  needs,
  async () => {
    for (const [name, wrap] of [
      ['NTLM', (challenge: Uint8Array) => challenge],
      ['Negotiate', inSpnego],
    ] as const) {
      const provider = security(name, { user: 'LAB\\backup', password: 'x' }).security!;
      using context = await provider({ host: 'localhost', service: 'HTTP' });
      for (const bit of [0x10, 0x20, 0x8_0000, 0x2000_0000, 0x4000_0000]) {
        const token = wrap(challengeWithout(bit));
        await assert.rejects(context.step(token), { code: 'NTLM_SECURITY_REFUSED' });
        assert.ok(!context.complete);
      }
    }
  },
);

/** MS-NLMP 2.2.1.2, with everything a client demands but one bit. */
function challengeWithout(bit: number): Uint8Array {
  const bytes = Buffer.alloc(56);
  bytes.write('NTLMSSP\0', 'latin1');
  bytes.writeUInt32LE(2, 8);
  bytes.writeUInt32LE((0x6008_8235 & ~bit) >>> 0, 20);
  bytes.writeUInt32LE(56, 44);
  return bytes;
}

function inSpnego(token: Uint8Array): Uint8Array {
  const tagged = (tag: number, content: Uint8Array): Buffer =>
    Buffer.concat([Uint8Array.of(tag, content.length), content]);
  return tagged(0xa1, tagged(0x30, tagged(0xa2, tagged(0x04, token))));
}

for (const harm of ['flip', 'repeat']) {
  test(`an answer spoilt by ${harm} is not believed`, needs, async () => {
    await withSession({ acceptor: { HARM: harm } }, async (session) => {
      await assert.rejects(session.get(Echo, { Key: 'a' }), { code: 'WINRM_TAMPERED' });
    });
  });
}

test('keys that end are replaced, and the session goes on', needs, async () => {
  const brief = (realm: Realm): void => realm.admin(`modprinc -maxlife "3 seconds" ${SERVICE}`);
  await withSession({ prepare: brief, options: { sessions: 1 } }, async (session) => {
    const counts: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      counts.push((await session.get(Echo, { Key: 'a' })).Sealed!);
      await pause(400);
    }
    const logOns = counts.filter((count, at) => at > 0 && count < counts[at - 1]!).length;
    assert.ok(logOns >= 1 && logOns < 11, `messages counted by each connection: ${counts.join(' ')}`);
  });
});

test('Windows that will not seal any more leads to a new log-on, and nothing is lost', needs, async () => {
  await using realm = await startRealm();
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  const credentials = new Credentials(USER.user, USER.password);
  const tired = { functions: async () => expiring(secur32.functions, 3) };
  const provider = sspiSecurity('Kerberos', credentials, tired);
  {
    await using session = await openWinrm({ url: acceptor.url, security: provider, sessions: 1 });
    const counts: number[] = [];
    for (let i = 0; i < 5; i += 1) counts.push((await session.get(Echo, { Key: 'a' })).Sealed!);
    assert.deepEqual(counts, [2, 3, 2, 3, 2]);
  }
  assert.deepEqual(secur32.held(), [0, 0, 0]);
});

/** A context that seals `times` messages and is then expired. */
function expiring(functions: SecurityFunctions, times: number): SecurityFunctions {
  const sealed = new Map<bigint, number>();
  return changed(functions, {
    encrypt(...args) {
      const count = (sealed.get(args[0]) ?? 0) + 1;
      sealed.set(args[0], count > times ? 0 : count);
      if (count > times) throw new SspiError('EncryptMessage', 0x80090317);
      return functions.encrypt(...args);
    },
  });
}

function changed(functions: SecurityFunctions, changes: Partial<SecurityFunctions>): SecurityFunctions {
  return new Proxy(functions, {
    get(target, name) {
      const method = Reflect.get(target, name) as ((...args: unknown[]) => unknown) | undefined;
      return Reflect.get(changes, name) ?? method?.bind(target);
    },
  });
}

/** What a session is refused with; nothing of Windows is held afterwards. */
async function refusal(situation: Situation): Promise<string> {
  const refused = await withSession(situation, async () => assert.fail('it logged on')).catch(
    (error: unknown) => error,
  );
  return (refused as { code: string }).code;
}

test('what Windows refuses has the same names as elsewhere', needs, async () => {
  const refused: Record<string, Situation> = {
    KERBEROS_PASSWORD_REFUSED: { identity: { ...USER, password: 'wrong' } },
    KERBEROS_NO_TICKET: { identity: NOBODY },
    KERBEROS_SERVICE_UNKNOWN: { prepare: (realm) => realm.admin(`renprinc -force ${SERVICE} HTTP/other`) },
  };
  for (const [code, situation] of Object.entries(refused)) {
    const keytab = { KRB5_KTNAME: '/nonexistent' };
    const acceptor = code === 'KERBEROS_SERVICE_UNKNOWN' ? { acceptor: keytab } : {};
    assert.equal(await refusal({ ...situation, ...acceptor }), code);
  }
});

test('a host whose clock is wrong', requiresSecur32('clock skew', 'faketime'), async () => {
  assert.equal(await refusal({ acceptor: LATE }), 'KERBEROS_CLOCK_SKEW');
});

test('no domain controller', needs, async () => {
  await using realm = await startRealm();
  await realm.killKdc();
  const provider = security('Kerberos', USER).security!;
  await assert.rejects(provider({ host: 'localhost', service: 'HTTP' }), {
    code: 'KERBEROS_SERVER_UNREACHABLE',
  });
  assert.deepEqual(secur32.held(), [0, 0, 0]);
});

test('keys of RC4 are refused, also when Windows does not tell what they are', needs, async () => {
  await using realm = await startRealm({ types: 'arcfour-hmac:normal' });
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  for (const provider of [security('Kerberos', USER).security, untold()]) {
    await assert.rejects(openWinrm({ url: acceptor.url, security: provider! }), {
      code: 'KERBEROS_TOO_WEAK',
    });
  }
  assert.deepEqual(secur32.held(), [0, 0, 0]);
});

/** Kerberos of a Windows that does not tell what its keys are. */
function untold(): SecurityProvider {
  const functions = changed(secur32.functions, { encryptionType: () => undefined });
  const credentials = new Credentials(USER.user, USER.password);
  return sspiSecurity('Kerberos', credentials, { functions: async () => functions });
}

test(
  'a Windows that does not tell what its keys are is believed when its messages are of AES',
  needs,
  async () => {
    await withSession({ options: { security: untold() } }, async (session) => {
      assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user);
    });
  },
);

test('protection that Windows does not promise is not hoped for', needs, async () => {
  await using realm = await startRealm();
  realm.kinit(USER.password);
  await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE) });
  for (const [flag, code] of [
    [0x2, 'KERBEROS_NOT_MUTUAL'],
    [0x4, 'KERBEROS_NOT_MUTUAL'],
    [0x8, 'KERBEROS_NOT_MUTUAL'],
    [0x10, 'KERBEROS_NOT_MUTUAL'],
    [0x1_0000, 'KERBEROS_NOT_MUTUAL'],
    [0, 'SSPI_ANONYMOUS'],
  ] as const) {
    const functions = changed(secur32.functions, {
      async initialize(call) {
        const answer = await secur32.functions.initialize(call);
        return { ...answer, flags: flag === 0 ? answer.flags | 0x4_0000 : answer.flags & ~flag };
      },
    });
    const provider = sspiSecurity('Kerberos', undefined, { functions: async () => functions });
    await assert.rejects(openWinrm({ url: acceptor.url, security: provider }), { code });
  }
  assert.deepEqual(secur32.held(), [0, 0, 0]);
});

test(
  'over https the log-on names the certificate of the host',
  requiresSecur32('binding', 'openssl'),
  async () => {
    await using realm = await startRealm();
    const [mine, other] = [makeCertificate(realm.folder, 'mine'), makeCertificate(realm.folder, 'other')];
    await using acceptor = await startAcceptor({ KRB5_KTNAME: realm.keytab(SERVICE), TLS_FILE: mine });
    for (const name of ['Kerberos', 'Negotiate'] as const) {
      const options = { ca: readFileSync(mine, 'utf8'), ...security(name, USER) };
      {
        await using session = await openWinrm({ ...options, url: acceptor.url });
        assert.equal((await session.get(Echo, { Key: 'a' })).User, USER.user);
      }
      await using between = await startTlsRelay(other, acceptor.port);
      const { ca: _, ...relayed } = options;
      await assert.rejects(openWinrm({ ...relayed, url: between.url, insecure: true }), {
        code: /^(KERBEROS_BINDING_REFUSED|WINRM_AUTHENTICATION_FAILED|SSPI_FAILED)$/,
      });
    }
    assert.deepEqual(secur32.held(), [0, 0, 0]);
  },
);

const samba = { ...needs, ...requiresSamba('SMB by the log-on of Windows') };
for (const name of ['Kerberos', 'Negotiate'] as const) {
  test(
    `package ${name}: a file is read from Samba, encrypted with the key of the log-on`,
    samba,
    async () => {
      await using realm = await startRealm({ services: ['cifs/localhost'] });
      await using server = await startSamba({
        global: [
          `realm = ${REALM}`,
          'kerberos method = dedicated keytab',
          `dedicated keytab file = ${realm.keytab('cifs/localhost')}`,
        ],
      });
      writeFileSync(join(server.folderOf('C$'), 'a.bin'), 'content');
      {
        const options = { host: 'localhost', port: server.port, ...security(name, USER) };
        await using client = createSmbClient(options as Parameters<typeof createSmbClient>[0]);
        const file = await client.open('C$', 'a.bin');
        const content = Buffer.alloc(file.size);
        await file.read(0, content);
        await file.close();
        assert.equal(content.toString(), 'content');
      }
      assert.deepEqual(secur32.held(), [0, 0, 0]);
    },
  );
}
