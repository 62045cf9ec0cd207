/** The SMB client against Samba: log-on, encryption, shares, rights, share modes, and files that move under its feet. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, chmod, open, rename, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GiB, hasCode, MiB } from '../../src/base/index.ts';
import type { RangeReader } from '../../src/disk/index.ts';
import { Credentials } from '../../src/ntlm/index.ts';
import { SmbConnection } from '../../src/smb/connection.ts';
import { writeCreate } from '../../src/smb/create.ts';
import { createRequest, messageHeader } from '../../src/smb/format.ts';
import { createSmbClient, ntlmSecurity, type SmbClient, type SmbOptions } from '../../src/smb/index.ts';
import { logOn } from '../../src/smb/log-on.ts';
import { writeTreeConnect } from '../../src/smb/tree-connect.ts';
import { requiresSamba, SMB_USER, startSamba, type Samba } from './samba.fixture.ts';

const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => hasCode(error, code));

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function readAt(reader: RangeReader, offset: number, length: number): Promise<Buffer> {
  const into = Buffer.alloc(length);
  await reader.read(offset, into);
  return into;
}

describe('smb against Samba', requiresSamba('SMB 3.1.1 against an independent server'), () => {
  let samba: Samba;
  const content = randomBytes(40 * MiB + 12_345);
  before(async () => {
    samba = await startSamba({
      global: ['host msdfs = yes'],
      shares: {
        C$: [],
        admins: ['valid users = root'],
        dfs: ['msdfs root = yes'],
      },
    });
    await put('disk.vhdx', content);
  });
  after(() => samba[Symbol.asyncDispose]());

  const pathOf = (name: string): string => join(samba.folderOf('C$'), name);
  const put = (name: string, bytes: Uint8Array | string): Promise<void> => writeFile(pathOf(name), bytes);
  const client = (options: Partial<SmbOptions> = {}): SmbClient =>
    createSmbClient({ ...samba.target, ...options });

  test('a file of 40 MiB arrives whole, in one read and in 200 at once', async () => {
    await using smb = client();
    const file = await smb.open('C$', 'disk.vhdx');
    assert.equal(hash(await readAt(file, 0, file.size)), hash(content));
    const step = Math.ceil(content.length / 200);
    const parts = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        readAt(file, i * step, Math.min(step, content.length - i * step)),
      ),
    );
    assert.equal(hash(Buffer.concat(parts)), hash(content));
  });

  test('offsets beyond 4 GiB and 1 TiB reach the right bytes', async () => {
    const marks = [0, 2 * GiB - 3, 4 * GiB - 3, 4 * GiB + 70_001, 1024 * GiB + 5];
    const handle = await open(pathOf('sparse.vhdx'), 'w');
    for (const offset of marks) await handle.write(`mark at ${offset}`, offset);
    await handle.truncate(2048 * GiB);
    await handle.close();
    await using smb = client();
    const file = await smb.open('C$', 'sparse.vhdx');
    assert.equal(file.size, 2048 * GiB);
    for (const offset of marks) {
      const text = `mark at ${offset}`;
      assert.equal((await readAt(file, offset, text.length)).toString(), text);
    }
    assert.ok((await readAt(file, 2048 * GiB - 4096, 4096)).every((byte) => byte === 0));
  });

  test('a wrong password is refused, and not tried a second time', async () => {
    let asked = 0;
    const password = async (): Promise<string> => {
      asked += 1;
      return 'wrong';
    };
    await using smb = client({ credentials: { user: SMB_USER.user, password } });
    await assert.rejects(smb.open('C$', 'disk.vhdx'), {
      code: 'SMB_LOGON_FAILED',
      message: /refused user .*: wrong user name or password \(STATUS_LOGON_FAILURE\)/,
    });
    await rejects(smb.open('C$', 'disk.vhdx'), 'SMB_LOGON_FAILED');
    assert.equal(asked, 1);
  });

  test('shares: one that is missing, one without rights, one of pipes, one of DFS', async () => {
    await using smb = client();
    await rejects(smb.open('D$', 'a'), 'SMB_NO_SUCH_SHARE');
    await rejects(smb.open('admins', 'a'), 'SMB_ACCESS_DENIED');
    await rejects(smb.open('IPC$', 'a'), 'SMB_NOT_A_DISK');
    await rejects(smb.open('dfs', 'a'), 'SMB_DFS_REFUSED');
    assert.equal((await smb.open('C$', 'disk.vhdx')).size, content.length, 'the session goes on');
  });

  test('a file the account may not read says who, what and where', async () => {
    await put('secret.vhdx', 'x');
    await chmod(pathOf('secret.vhdx'), 0o600);
    await using smb = client();
    await assert.rejects(smb.open('C$', 'secret.vhdx'), {
      code: 'SMB_ACCESS_DENIED',
      message: 'backup may not read C$\\secret.vhdx on 127.0.0.1',
    });
  });

  test('a file somebody opened without sharing it is in use until it is closed', async () => {
    await put('held.vhdx', 'held');
    const release = await openExclusively(samba, 'held.vhdx');
    await using smb = client();
    await rejects(smb.open('C$', 'held.vhdx'), 'SMB_SHARING_VIOLATION');
    release();
    await eventually(async () => (await smb.open('C$', 'held.vhdx')).close());
  });

  test('our own open keeps nobody from reading, and a second open of ours works', async () => {
    await using smb = client();
    const first = await smb.open('C$', 'disk.vhdx');
    const second = await smb.open('C$', 'disk.vhdx');
    assert.deepEqual(await readAt(second, 5, 5), await readAt(first, 5, 5));
    await first.close();
    assert.deepEqual(await readAt(second, 5, 5), content.subarray(5, 10));
  });

  test('a file that shrinks while it is read is said to be cut', async () => {
    await put('shrinks.vhdx', Buffer.alloc(100_000, 7));
    await using smb = client();
    const file = await smb.open('C$', 'shrinks.vhdx');
    await truncate(pathOf('shrinks.vhdx'), 50_000);
    await rejects(readAt(file, 0, 100_000), 'DISK_TRUNCATED');
  });

  test('the server ends and comes back in mid-read: not a byte is wrong', async () => {
    await using smb = client();
    const file = await smb.open('C$', 'disk.vhdx');
    for (const pauseMs of [0, 300]) {
      const reading = readAt(file, 0, file.size);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await samba.kill();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      await samba.start();
      assert.equal(hash(await reading), hash(content));
    }
  });

  test('the server restarted while nothing was read: opens and reads go on', async () => {
    await using smb = client();
    const file = await smb.open('C$', 'disk.vhdx');
    await samba.kill();
    await samba.start();
    const other = await smb.open('C$', 'disk.vhdx');
    assert.deepEqual(await readAt(other, 7, 100), await readAt(file, 7, 100));
  });

  const CHANGES: Readonly<Record<string, (name: string) => Promise<void>>> = {
    'another file took its name': async (name) => {
      await put('other', randomBytes(1000));
      await rename(pathOf('other'), pathOf(name));
    },
    'it grew': (name) => appendFile(pathOf(name), 'more'),
    'it was written to in place': async (name) => {
      await put(name, randomBytes(1000));
      await utimes(pathOf(name), new Date(), new Date(Date.now() + 5000));
    },
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    test(`a break during which ${what} ends the read`, async () => {
      const name = `${what}.vhdx`;
      await put(name, randomBytes(1000));
      await using smb = client();
      const file = await smb.open('C$', name);
      await samba.kill();
      await change(name);
      await samba.start();
      await rejects(readAt(file, 0, 1000), 'SMB_FILE_CHANGED');
    });
  }

  test('a server that stays away ends the read, and closing then does not wait for it', async () => {
    await using smb = client({ reconnectSeconds: 0.5 });
    const file = await smb.open('C$', 'disk.vhdx');
    await samba.kill();
    try {
      await rejects(readAt(file, 0, 100), 'SMB_UNREACHABLE');
      await file.close();
      await rejects(readAt(file, 0, 1), 'DISK_CLOSED');
    } finally {
      await samba.start();
    }
  });

  test('closing ends reads that wait for a server that is away', async () => {
    const smb = client();
    const file = await smb.open('C$', 'disk.vhdx');
    await samba.kill();
    try {
      const waiting = rejects(readAt(file, 0, 100), 'DISK_CLOSED');
      await new Promise((resolve) => setTimeout(resolve, 300));
      await smb.close();
      await waiting;
    } finally {
      await samba.start();
    }
    await rejects(smb.open('C$', 'disk.vhdx'), 'SMB_CLOSED');
  });
});

for (const cipher of ['AES-128-GCM', 'AES-256-GCM']) {
  test(`${cipher}, when it is the server's only one`, requiresSamba(`${cipher} against smbd`), async () => {
    await using samba = await startSamba({ global: [`server smb3 encryption algorithms = ${cipher}`] });
    await assertReadable(samba);
  });
}

test('a server with few credits is read all the same', requiresSamba('few credits'), async () => {
  await using samba = await startSamba({ global: ['smb2 max credits = 3'] });
  await assertReadable(samba);
});

test(
  'a server that must sign but need not encrypt is encrypted to',
  requiresSamba('encryption unasked'),
  async () => {
    await using samba = await startSamba({ global: ['server smb encrypt = default'] });
    await assertReadable(samba);
  },
);

const REFUSED = [
  ['server smb encrypt = off', 'SMB_ENCRYPTION_REFUSED'],
  ['server smb3 encryption algorithms = AES-128-CCM', 'SMB_ENCRYPTION_REFUSED'],
  [
    'server smb encrypt = default\nserver min protocol = SMB2_02\nserver max protocol = SMB3_02',
    'SMB_DIALECT_REFUSED',
  ],
  ['ntlm auth = disabled', 'SMB_LOGON_FAILED'],
] as const;
for (const [lines, code] of REFUSED) {
  test(`"${lines.split('\n').at(-1)}" gives ${code}`, requiresSamba(`the refusal of ${lines}`), async () => {
    await using samba = await startSamba({ global: lines.split('\n') });
    await using smb = createSmbClient(samba.target);
    await rejects(smb.open('C$', 'a'), code);
  });
}

test('a server that maps strangers to its guest account is refused', requiresSamba('guests'), async () => {
  await using samba = await startSamba({
    global: ['server smb encrypt = default', 'server signing = default', 'map to guest = bad user'],
    shares: { strangers: ['guest ok = yes'] },
  });
  await using smb = createSmbClient({ ...samba.target, credentials: { user: 'stranger', password: 'x' } });
  await rejects(smb.open('strangers', 'a'), 'SMB_GUEST_REFUSED');
});

async function assertReadable(samba: Samba): Promise<void> {
  const content = randomBytes(3 * MiB + 77);
  await writeFile(join(samba.folderOf('C$'), 'disk.vhdx'), content);
  await using smb = createSmbClient(samba.target);
  const file = await smb.open('C$', 'disk.vhdx');
  assert.equal(hash(await readAt(file, 0, file.size)), hash(content));
}

/** Opens a file so that nobody else may: what hvlift itself never does. Returns the end of it. */
async function openExclusively(samba: Samba, name: string): Promise<() => void> {
  const { host, port, credentials } = samba.target;
  const target = { host, port, connectTimeoutMs: 5000, answerTimeoutMs: 5000 };
  const connection = await SmbConnection.open(target, new AbortController().signal);
  const security = ntlmSecurity(new Credentials(credentials.user, credentials.password));
  await logOn(connection, await security({ host, service: 'cifs' }), credentials.user);
  const tree = await connection.request({ command: 'TREE_CONNECT', body: writeTreeConnect(host, 'C$') });
  const { treeId } = messageHeader.read(tree.bytes);
  const body = writeCreate(name);
  createRequest.write(body, { shareAccess: 0 });
  const { status } = await connection.request({ command: 'CREATE', body, treeId });
  assert.equal(status, 0);
  return () => connection.close();
}

/** Until it works, for at most 5 s: smbd notices the end of a connection when it gets to it. */
async function eventually(work: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
