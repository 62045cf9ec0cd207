/** The SMB client over links that are slow, lossy, cut, silent or in somebody else's hands, with Samba at the other end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasCode, KiB, MiB } from '../../src/base/index.ts';
import type { RangeReader } from '../../src/disk/index.ts';
import { createSmbClient, type SmbClient, type SmbOptions } from '../../src/smb/index.ts';
import { requiresSamba, startSamba, type Samba } from './samba.fixture.ts';
import { startLink, type LinkOptions, type ShakyLink } from './shaky-link.fixture.ts';

const MARK = 'these words must not be readable on the wire';

describe('smb over bad links', requiresSamba('SMB over slow, lossy, cut and hostile links'), () => {
  let samba: Samba;
  const content = randomBytes(20 * MiB);
  content.write(MARK, 1000);
  before(async () => {
    // Encryption is not demanded by this server: that there is some is the client's doing.
    samba = await startSamba({ global: ['server smb encrypt = default'] });
    await writeFile(join(samba.folderOf('C$'), 'disk.vhdx'), content);
  });
  after(() => samba[Symbol.asyncDispose]());

  async function over<T>(
    link: LinkOptions,
    work: (smb: SmbClient, link: ShakyLink) => Promise<T>,
    options: Partial<SmbOptions> = {},
  ): Promise<T> {
    await using relay = await startLink(samba.port, link);
    await using smb = createSmbClient({ ...samba.target, port: relay.port, ...options });
    return await work(smb, relay);
  }
  const whole = async (file: RangeReader): Promise<Buffer> => {
    const into = Buffer.alloc(file.size);
    await file.read(0, into);
    return into;
  };

  test('neither content nor name of a file nor the share is readable on the wire', async () => {
    const seen: Buffer[] = [];
    await over({ observe: (bytes) => seen.push(Buffer.from(bytes)) }, async (smb) => {
      assert.ok((await whole(await smb.open('C$', 'disk.vhdx'))).equals(content));
    });
    const wire = Buffer.concat(seen);
    assert.ok(wire.length > content.length, 'everything was seen');
    for (const text of [MARK, 'disk.vhdx', 'C$']) {
      const isShort = text.length < 4;
      assert.ok(isShort || !wire.includes(text), `${text} in ASCII`);
      assert.ok(!wire.includes(Buffer.from(`\\${text}`, 'utf16le')), `${text} in UTF-16`);
    }
  });

  const SLOW: Readonly<Record<string, LinkOptions>> = {
    'of 100 ms each way': { latencyMs: 100 },
    'that loses 1 % of the packets': { latencyMs: 2, stallShare: 0.01, stallMs: 200, seed: 20261123 },
  };
  for (const [what, link] of Object.entries(SLOW)) {
    test(`a link ${what}: every byte is right`, () =>
      over(link, async (smb) => {
        assert.ok((await whole(await smb.open('C$', 'disk.vhdx'))).equals(content));
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
      async (smb, { seen }) => {
        assert.ok((await whole(await smb.open('C$', 'disk.vhdx'))).equals(content));
        assert.ok(seen.connections >= 5, `${seen.connections} connections`);
      },
    ));

  test('what passes is what was asked for: no read-ahead fills the memory of a slow reader', () =>
    over({}, async (smb, { seen }) => {
      const file = await smb.open('C$', 'disk.vhdx');
      const before = seen.bytesToClient;
      for (let i = 0; i < 20; i += 1) await file.read(i * MiB, new Uint8Array(64 * KiB));
      const passed = seen.bytesToClient - before;
      assert.ok(passed < 20 * 65 * KiB, `${passed} bytes for ${20 * 64 * KiB}`);
    }));

  test('one changed bit after the log-on ends the read, and is called by its name', () =>
    over(
      {
        toClient(bytes, passed) {
          const at = 2 * MiB - passed;
          if (at >= 0 && at < bytes.length) bytes[at]! ^= 1;
          return bytes;
        },
      },
      async (smb) => {
        const file = await smb.open('C$', 'disk.vhdx');
        await assert.rejects(whole(file), (error) => hasCode(error, 'SMB_TAMPERED', 'SMB_PROTOCOL_BROKEN'));
      },
    ));

  test('whoever changes the negotiation gets no session', async () => {
    // A byte of the server's name of itself, which nothing reads: only the hash over the log-on can tell.
    const inServerGuid = 4 + 64 + 10;
    await over(
      {
        toClient(bytes, passed) {
          if (passed === 0) bytes[inServerGuid]! ^= 1;
          return bytes;
        },
      },
      (smb) => assert.rejects(smb.open('C$', 'disk.vhdx'), (error) => hasCode(error, 'SMB_TAMPERED')),
    );
  });

  test('a link gone silent is given up after the answer timeout', () =>
    over(
      {},
      async (smb, link) => {
        const file = await smb.open('C$', 'disk.vhdx');
        link.silence(true);
        await assert.rejects(whole(file), (error) => hasCode(error, 'SMB_TIMED_OUT', 'SMB_CONNECTION_LOST'));
      },
      { answerTimeoutSeconds: 0.5, reconnectSeconds: 0.1 },
    ));

  test('a read that is cancelled ends at once, writes nothing afterwards, and harms no other', () =>
    over({ latencyMs: 20 }, async (smb, link) => {
      const file = await smb.open('C$', 'disk.vhdx');
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
