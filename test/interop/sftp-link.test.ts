/** The SFTP client over links that are slow, lossy, cut, silent or in somebody else's hands, with OpenSSH at the other end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { hasCode, KiB, MiB } from '../../src/base/index.ts';
import type { RangeReader } from '../../src/disk/index.ts';
import { createSftpClient, type SftpClient, type SftpOptions } from '../../src/sftp/index.ts';
import { startLink, type LinkOptions, type ShakyLink } from './shaky-link.fixture.ts';
import { requiresSshd, startSshd, type Sshd } from './sshd.fixture.ts';

describe('sftp over bad links', requiresSshd('SFTP over slow, lossy, cut and hostile links'), () => {
  let sshd: Sshd;
  const content = randomBytes(20 * MiB);
  before(async () => {
    sshd = await startSshd();
    await writeFile(sshd.pathOf('/C:/disk.vhdx'), content);
  });
  after(() => sshd[Symbol.asyncDispose]());

  async function over<T>(
    link: LinkOptions,
    work: (sftp: SftpClient, link: ShakyLink) => Promise<T>,
    options: Partial<SftpOptions> = {},
  ): Promise<T> {
    await using relay = await startLink(sshd.port, link);
    await using sftp = createSftpClient({ ...sshd.target, port: relay.port, ...options });
    return await work(sftp, relay);
  }
  const whole = async (file: RangeReader): Promise<Buffer> => {
    const into = Buffer.alloc(file.size);
    await file.read(0, into);
    return into;
  };

  const SLOW: Readonly<Record<string, LinkOptions>> = {
    'of 100 ms each way': { latencyMs: 100 },
    'that loses 1 % of the packets': { latencyMs: 2, stallShare: 0.01, stallMs: 200, seed: 20261123 },
  };
  for (const [what, link] of Object.entries(SLOW)) {
    test(`a link ${what}: every byte is right`, () =>
      over(link, async (sftp) => {
        assert.ok((await whole(await sftp.open('/C:/disk.vhdx'))).equals(content));
      }));
  }

  test('a link cut every 3 MiB: the read goes on each time and every byte is right', () =>
    over(
      {
        toClient(bytes, passed, link) {
          if (passed + bytes.length > 3 * MiB) link.cut();
          return bytes;
        },
      },
      async (sftp, { seen }) => {
        assert.ok((await whole(await sftp.open('/C:/disk.vhdx'))).equals(content));
        assert.ok(seen.connections >= 5, `${seen.connections} connections`);
      },
    ));

  test('what passes is what was asked for: no read-ahead fills the memory of a slow reader', () =>
    over({}, async (sftp, { seen }) => {
      const file = await sftp.open('/C:/disk.vhdx');
      const before = seen.bytesToClient;
      for (let i = 0; i < 20; i += 1) await file.read(i * MiB, new Uint8Array(64 * KiB));
      const passed = seen.bytesToClient - before;
      assert.ok(passed < 20 * 67 * KiB, `${passed} bytes for ${20 * 64 * KiB}`);
    }));

  test('one changed bit after the log-on is never believed', () =>
    over(
      {
        toClient(bytes, passed) {
          const at = 2 * MiB - passed;
          if (at >= 0 && at < bytes.length) bytes[at]! ^= 1;
          return bytes;
        },
      },
      async (sftp) => {
        const file = await sftp.open('/C:/disk.vhdx');
        const outcome = await whole(file).catch((error: unknown) => error);
        assert.ok(
          hasCode(outcome, 'SSH_CONNECTION_LOST') || (Buffer.isBuffer(outcome) && outcome.equals(content)),
          String(outcome),
        );
      },
      { reconnectSeconds: 0 },
    ));

  test('a link gone silent is given up after the answer timeout', () =>
    over(
      {},
      async (sftp, link) => {
        const file = await sftp.open('/C:/disk.vhdx');
        link.silence(true);
        await assert.rejects(whole(file), (error) =>
          hasCode(error, 'SFTP_TIMED_OUT', 'SSH_UNREACHABLE', 'SSH_CONNECTION_LOST'),
        );
      },
      { answerTimeoutSeconds: 0.5, reconnectSeconds: 0.1, connectTimeoutSeconds: 1 },
    ));

  test('a read that is cancelled ends at once, writes nothing afterwards, and harms no other', () =>
    over({ latencyMs: 20 }, async (sftp, link) => {
      const file = await sftp.open('/C:/disk.vhdx');
      const controller = new AbortController();
      const into = new Uint8Array(8 * MiB);
      const cancelled = file.read(0, into, { signal: controller.signal });
      const other = Buffer.alloc(MiB);
      const going = file.read(0, other);
      link.silence(true);
      controller.abort(new Error('enough'));
      await assert.rejects(cancelled, /enough/);
      const atTheEnd = Buffer.from(into);
      link.silence(false);
      await going;
      assert.ok(other.equals(content.subarray(0, MiB)));
      assert.ok(atTheEnd.equals(into), 'the buffer belongs to the caller again');
    }));
});
