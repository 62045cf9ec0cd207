/** The SFTP client against OpenSSH: ranges, rights, and files and servers that move under its feet. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, open, rename, truncate, utimes, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { GiB, hasCode, KiB, MiB } from '../../src/base/index.ts';
import type { RangeReader } from '../../src/disk/index.ts';
import { createSftpClient, type SftpClient, type SftpOptions } from '../../src/sftp/index.ts';
import { requiresSshd, startSshd, type Sshd } from './sshd.fixture.ts';

const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => hasCode(error, code));

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function readAt(reader: RangeReader, offset: number, length: number): Promise<Buffer> {
  const into = Buffer.alloc(length);
  await reader.read(offset, into);
  return into;
}

describe('sftp against OpenSSH', requiresSshd('SFTP against an independent server'), () => {
  let sshd: Sshd;
  const content = randomBytes(40 * MiB + 12_345);
  before(async () => {
    sshd = await startSshd();
    await put('disk.vhdx', content);
  });
  after(() => sshd[Symbol.asyncDispose]());

  const pathOf = (name: string): string => sshd.pathOf(`/C:/${name}`);
  const put = (name: string, bytes: Uint8Array | string): Promise<void> => writeFile(pathOf(name), bytes);
  const client = (options: Partial<SftpOptions> = {}): SftpClient =>
    createSftpClient({ ...sshd.target, ...options });

  test('a file of 40 MiB arrives whole, in one read and in 200 at once', async () => {
    await using sftp = client();
    const file = await sftp.open('/C:/disk.vhdx');
    assert.equal(hash(await readAt(file, 0, file.size)), hash(content));
    const step = Math.ceil(content.length / 200);
    const parts = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        readAt(file, i * step, Math.min(step, content.length - i * step)),
      ),
    );
    assert.equal(hash(Buffer.concat(parts)), hash(content));
  });

  test('keys are changed every mebibyte, and not a byte is wrong', async () => {
    await using other = await startSshd({ config: ['RekeyLimit 1M'] });
    await writeFile(other.pathOf('/C:/disk.vhdx'), content.subarray(0, 12 * MiB));
    await using sftp = createSftpClient(other.target);
    const file = await sftp.open('/C:/disk.vhdx');
    assert.equal(hash(await readAt(file, 0, file.size)), hash(content.subarray(0, 12 * MiB)));
  });

  test('offsets beyond 4 GiB and 1 TiB reach the right bytes', async () => {
    const marks = [0, 2 * GiB - 3, 4 * GiB - 3, 4 * GiB + 70_001, 1024 * GiB + 5];
    const handle = await open(pathOf('sparse.vhdx'), 'w');
    for (const offset of marks) await handle.write(`mark at ${offset}`, offset);
    await handle.truncate(2048 * GiB);
    await handle.close();
    await using sftp = client();
    const file = await sftp.open('/C:/sparse.vhdx');
    assert.equal(file.size, 2048 * GiB);
    for (const offset of marks) {
      const text = `mark at ${offset}`;
      assert.equal((await readAt(file, offset, text.length)).toString(), text);
    }
    assert.ok((await readAt(file, 2048 * GiB - 4096, 4096)).every((byte) => byte === 0));
  });

  test('a named pipe in place of a disk is refused instead of waited for', async () => {
    execFileSync('mkfifo', [pathOf('pipe.vhdx')]);
    await using sftp = client();
    await rejects(sftp.open('/C:/pipe.vhdx'), 'SFTP_NOT_A_FILE');
    assert.equal((await sftp.open('/C:/disk.vhdx')).size, content.length, 'the session goes on');
  });

  test('a file that shrinks while it is read is said to be cut', async () => {
    await put('shrinks.vhdx', Buffer.alloc(400_000, 7));
    await using sftp = client();
    const file = await sftp.open('/C:/shrinks.vhdx');
    await truncate(pathOf('shrinks.vhdx'), 300_000);
    await rejects(readAt(file, 0, 400_000), 'DISK_TRUNCATED');
    assert.deepEqual(await readAt(file, 0, 10), Buffer.alloc(10, 7), 'the file goes on');
  });

  test('the server ends and comes back in mid-read: not a byte is wrong', async () => {
    await using sftp = client();
    const file = await sftp.open('/C:/disk.vhdx');
    for (const pauseMs of [0, 300]) {
      const reading = readAt(file, 0, file.size);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await sshd.kill();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      await sshd.start();
      assert.equal(hash(await reading), hash(content));
    }
  });

  test('the server restarted while nothing was read: opens and reads go on', async () => {
    await using sftp = client();
    const file = await sftp.open('/C:/disk.vhdx');
    await sshd.kill();
    await sshd.start();
    const other = await sftp.open('/C:/disk.vhdx');
    assert.deepEqual(await readAt(other, 7, 100), await readAt(file, 7, 100));
  });

  const CHANGES: Readonly<Record<string, (name: string) => Promise<void>>> = {
    'another file took its name': async (name) => {
      await put('other', randomBytes(1000));
      await utimes(pathOf('other'), 7, 7);
      await rename(pathOf('other'), pathOf(name));
    },
    'another file of the same size and age took its name': async (name) => {
      await put('other', randomBytes(1000));
      await utimes(pathOf('other'), 1_000_000, 1_000_000);
      await rename(pathOf('other'), pathOf(name));
    },
    'it grew': (name) => appendFile(pathOf(name), 'more'),
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    test(`a break during which ${what} ends the read`, async () => {
      const name = `${what}.vhdx`;
      await put(name, randomBytes(1000));
      await utimes(pathOf(name), 1_000_000, 1_000_000);
      await using sftp = client();
      const file = await sftp.open(`/C:/${name}`);
      await sshd.kill();
      await change(name);
      await sshd.start();
      await rejects(readAt(file, 0, 1000), 'SFTP_FILE_CHANGED');
    });
  }

  test('a server that stays away ends the read, and closing then does not wait for it', async () => {
    await using sftp = client({ reconnectSeconds: 0.5 });
    const file = await sftp.open('/C:/disk.vhdx');
    await sshd.kill();
    try {
      await rejects(readAt(file, 0, 100), 'SSH_UNREACHABLE');
      await file.close();
      await rejects(readAt(file, 0, 1), 'DISK_CLOSED');
    } finally {
      await sshd.start();
    }
  });

  test('closing ends reads that wait for a server that is away', async () => {
    const sftp = client();
    const file = await sftp.open('/C:/disk.vhdx');
    await sshd.kill();
    try {
      const waiting = rejects(readAt(file, 0, 100), 'DISK_CLOSED');
      await new Promise((resolve) => setTimeout(resolve, 300));
      await sftp.close();
      await waiting;
    } finally {
      await sshd.start();
    }
    await rejects(sftp.open('/C:/disk.vhdx'), 'SFTP_CLOSED');
  });

  test('a server that comes back as somebody else gets no second chance', async () => {
    await using server = await startSshd();
    await writeFile(server.pathOf('/C:/disk.vhdx'), content);
    await using sftp = createSftpClient(server.target);
    const file = await sftp.open('/C:/disk.vhdx');
    await server.kill();
    await server.newHostKey('ed25519');
    await server.start();
    await rejects(readAt(file, 0, 100), 'SSH_HOST_KEY_CHANGED');
  });

  test('small reads stay on one connection, large ones use two', async () => {
    await using server = await startSshd({ config: ['MaxSessions 1'] });
    await writeFile(server.pathOf('/C:/disk.vhdx'), content.subarray(0, 8 * MiB));
    const connections = (): number => server.connections();
    await using sftp = createSftpClient(server.target);
    const file = await sftp.open('/C:/disk.vhdx');
    for (let i = 0; i < 8; i += 1) await readAt(file, i * MiB, 512 * KiB);
    assert.equal(connections(), 1);
    await readAt(file, 0, 8 * MiB);
    assert.equal(connections(), 2);
  });
});
