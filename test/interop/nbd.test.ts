/** Our NBD client against qemu-nbd and nbdkit, our server against qemu and libnbd; TLS both ways. */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { hasCode } from '../../src/base/index.ts';
import { FileReader, MemoryDisk, RawDisk, type Disk } from '../../src/disk/index.ts';
import { NbdDisk, NbdServer, type ServedDisk } from '../../src/nbd/index.ts';
import { freePort, listening } from './local-server.fixture.ts';
import { startLink } from './shaky-link.fixture.ts';
import { DEBIAN_PYTHON, requires, requiresPython } from '../requires.ts';

const run = promisify(execFile);
const MiB = 2 ** 20;
let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'hvlift-nbd-'))));
after(() => rm(folder, { recursive: true, force: true }));

/** A server that is a process, once its socket is there. */
async function started(socket: string, command: string, args: readonly string[]): Promise<AsyncDisposable> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let tries = 0; !existsSync(socket); tries += 1) {
    if (child.exitCode !== null || tries > 200) throw new Error(`${command} does not serve`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

const uri = (socket: string, name = '', scheme = 'nbd+unix'): string =>
  `${scheme}:///${name}?socket=${socket}`;

async function contentOf(disk: Disk, offset = 0, length = disk.size - offset): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await disk.read(offset, bytes);
  return bytes;
}

/** 24 MiB: data, a hole, data to an end that fits no block. */
async function sparseFile(name: string): Promise<{ path: string; content: Buffer }> {
  const content = Buffer.alloc(24 * MiB + 512);
  randomBytes(3 * MiB).copy(content, 0);
  randomBytes(MiB + 512).copy(content, 23 * MiB);
  const path = join(folder, name);
  const file = await open(path, 'w');
  await file.truncate(content.length);
  await file.write(content.subarray(0, 3 * MiB), 0, 3 * MiB, 0);
  await file.write(content.subarray(23 * MiB), 0, MiB + 512, 23 * MiB);
  await file.close();
  return { path, content };
}

describe('the client', () => {
  test(
    'reads and writes a qcow2 behind qemu-nbd, and is told its holes',
    requires(['qemu-nbd', 'qemu-img'], 'our NBD client against qemu-nbd'),
    async () => {
      const { path, content } = await sparseFile('client.raw');
      const [image, socket] = [join(folder, 'client.qcow2'), join(folder, 'qemu.sock')];
      await run('qemu-img', ['convert', '-O', 'qcow2', path, image]);
      {
        await using _qemu = await started(socket, 'qemu-nbd', [
          '-t',
          '-f',
          'qcow2',
          '-e',
          '8',
          '-k',
          socket,
          '--discard=unmap',
          image,
        ]);
        const disk = await NbdDisk.open(uri(socket));
        assert.deepEqual(await contentOf(disk), content);
        const data = await Array.fromAsync(disk.allocated());
        assert.ok(
          data.every(({ offset, length }) => offset + length <= 4 * MiB || offset >= 22 * MiB),
          JSON.stringify(data),
        );
        const bytes = randomBytes(70_001);
        await disk.write(10 * MiB + 13, bytes);
        bytes.copy(content, 10 * MiB + 13);
        await disk.zero(777, 2 * MiB);
        content.fill(0, 777, 777 + 2 * MiB);
        await disk.flush();
        assert.deepEqual(await contentOf(disk), content);
        await disk.close();
      }
      await writeFile(path, content);
      await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', path, image]);
      await run('qemu-img', ['check', image]);
    },
  );

  const NBDKIT = requires(['nbdkit'], 'our NBD client against nbdkit');
  /** nbdkit gives the filters a server may be like; `log` has every request it got. */
  async function nbdkit(name: string, filters: readonly string[], args: readonly string[]) {
    const socket = join(folder, `${name}.sock`);
    const log = join(folder, `${name}.log`);
    const filter = [...filters, 'log'].map((each) => `--filter=${each}`);
    const server = await started(socket, 'nbdkit', [
      '-f',
      '-U',
      socket,
      ...filter,
      ...args,
      `logfile=${log}`,
    ]);
    return { server, address: uri(socket), log };
  }

  test('obeys block sizes that are enforced, at edges that fit none', NBDKIT, async () => {
    const { server, address } = await nbdkit(
      'policy',
      ['blocksize-policy'],
      [
        'memory',
        '8M',
        'blocksize-minimum=4096',
        'blocksize-preferred=65536',
        'blocksize-maximum=128K',
        'blocksize-error-policy=error',
      ],
    );
    await using _server = server;
    const [disk, model] = [await NbdDisk.open(address), new MemoryDisk(8 * MiB)];
    for (const [offset, length] of [
      [0, MiB],
      [4095, 2],
      [100, 4096 * 40 + 3],
      [8 * MiB - 1, 1],
      [5 * MiB + 7, 200_000],
    ] as const) {
      const bytes = randomBytes(length);
      await Promise.all([disk.write(offset, bytes), model.write(offset, bytes)]);
    }
    await Promise.all([disk.zero(300_001, 3 * MiB), model.zero(300_001, 3 * MiB)]);
    await disk.flush();
    assert.deepEqual(await contentOf(disk), await contentOf(model));
    await disk.close();
  });

  test('errors come back with their numbers, and what works goes on', NBDKIT, async () => {
    const { server, address } = await nbdkit(
      'error',
      ['error'],
      ['memory', '4M', 'error-pwrite=ENOSPC', 'error-pwrite-rate=100%'],
    );
    await using _server = server;
    const disk = await NbdDisk.open(address);
    await assert.rejects(disk.write(0, Buffer.alloc(512)), (error) => hasCode(error, 'NBD_NO_SPACE'));
    assert.deepEqual(await contentOf(disk), Buffer.alloc(4 * MiB));
    await disk.close();
  });

  test('slow answers are waited for, many at once, and zeros travel as no data', NBDKIT, async () => {
    const { server, address, log } = await nbdkit(
      'delay',
      ['delay'],
      ['memory', '64M', 'rdelay=30ms', 'wdelay=30ms', 'delay-zero=30ms'],
    );
    await using _server = server;
    const disk = await NbdDisk.open(address);
    const bytes = randomBytes(8 * MiB);
    await disk.write(8 * MiB, bytes);
    await disk.zero(0, 4 * MiB);
    await disk.flush();
    assert.deepEqual(await contentOf(disk, 8 * MiB, 8 * MiB), bytes);
    await disk.close();
    const requests = await readFile(log, 'utf8');
    assert.equal(
      [...requests.matchAll(/ Zero .*id=\d+ offset=0x0 count=0x400000/g)].length,
      1,
      requests.slice(0, 2000),
    );
    assert.ok([...requests.matchAll(/ Write id=/g)].length <= 32);
  });

  test(
    'a server without structured replies, block status, zeroes or flush is used as it is',
    NBDKIT,
    async () => {
      const { server, address } = await nbdkit('plain', ['nozero', 'noextents'], ['--no-sr', 'memory', '4M']);
      await using _server = server;
      const disk = await NbdDisk.open(address);
      assert.deepEqual(await Array.fromAsync(disk.allocated()), [{ offset: 0, length: 4 * MiB }]);
      const bytes = randomBytes(100_000);
      await disk.write(1000, bytes);
      await disk.zero(2000, 50_000);
      bytes.fill(0, 1000, 51_000);
      await disk.flush();
      assert.deepEqual(await contentOf(disk, 1000, 100_000), bytes);
      await disk.close();
    },
  );

  // Behind qemu-nbd: nbdkit 1.32 ends by an assertion when connections break in the middle of answers.
  const QEMU = requires(['qemu-nbd'], 'our NBD client over a link that breaks');
  test('a link that is cut every 3 MiB is made again, and every byte is right', QEMU, async () => {
    const [port, path] = [await freePort(), join(folder, 'cut.raw')];
    await writeFile(path, Buffer.alloc(16 * MiB));
    const address = ['-b', '127.0.0.1', '-p', String(port)];
    const server = spawn('qemu-nbd', ['-t', '-e', '64', '-f', 'raw', ...address, path], { stdio: 'ignore' });
    await listening('qemu-nbd', port, server);
    await using link = await startLink(port, {
      toClient: (bytes, passed, self) => {
        const crosses = passed <= 3 * MiB && passed + bytes.length > 3 * MiB;
        if (crosses) setTimeout(() => self.cut(), 10);
        return bytes;
      },
    });
    const disk = await NbdDisk.open(`nbd://127.0.0.1:${link.port}`, { connections: 2 });
    const bytes = randomBytes(16 * MiB);
    await disk.write(0, bytes);
    assert.deepEqual(await contentOf(disk), bytes);
    assert.ok(link.seen.connections > 2, `${link.seen.connections} connections`);
    await disk.close();
    server.kill();
  });
});

describe('the server', () => {
  async function served(
    given: ServedDisk,
    name = '',
  ): Promise<{ server: NbdServer; address: string; errors: unknown[] }> {
    const errors: unknown[] = [];
    const path = join(folder, `own-${Math.random().toString(36).slice(2)}.sock`);
    const server = await NbdServer.listen(
      { kind: 'unix', path },
      { exports: new Map([[name, given]]), onError: (error) => errors.push(error) },
    );
    return { server, address: uri(path, encodeURIComponent(name)), errors };
  }

  test(
    'nbdinfo and nbdcopy see size, holes and content',
    requires(['nbdinfo', 'nbdcopy'], 'our NBD server against libnbd'),
    async () => {
      const { path, content } = await sparseFile('copy.raw');
      const memory = new MemoryDisk(content.length);
      await memory.write(0, content.subarray(0, 3 * MiB));
      await memory.write(23 * MiB, content.subarray(23 * MiB));
      const { server, address, errors } = await served(
        { disk: memory, description: 'disk of a test' },
        'disk 0',
      );
      await using _server = server;
      const { stdout } = await run('nbdinfo', ['--json', '--map', address]);
      const map = JSON.parse(stdout) as { offset: number; length: number; type: number }[];
      assert.deepEqual(
        map.map(({ offset, length, type }) => [offset, length, type]),
        [
          [0, 3 * MiB, 0],
          [3 * MiB, 20 * MiB, 3],
          [23 * MiB, MiB + 512, 0],
        ],
      );
      const copy = join(folder, 'copied.raw');
      await run('nbdcopy', [address, copy]);
      assert.deepEqual(await readFile(copy), await readFile(path));
      const { stdout: list } = await run('nbdinfo', ['--list', '--json', address]);
      assert.equal(
        (JSON.parse(list) as { exports: { 'export-size': number }[] }).exports[0]!['export-size'],
        content.length,
      );
      assert.deepEqual(errors, []);
    },
  );

  test(
    'nbdcopy writes into it, on several connections, and what it zeroes is a hole',
    requires(['nbdcopy'], 'writes to our NBD server'),
    async () => {
      const { path, content } = await sparseFile('into.raw');
      const memory = new MemoryDisk(content.length);
      await memory.write(5 * MiB, randomBytes(2 * MiB));
      const { server, address, errors } = await served({ disk: memory, writer: memory });
      await using _server = server;
      await run('nbdcopy', ['--connections=4', '--flush', path, address]);
      assert.deepEqual(await contentOf(memory), content);
      for (const { offset, length } of memory.allocated())
        assert.ok(offset + length <= 3 * MiB || offset >= 23 * MiB - 65_536, 'zeros hold no memory');
      assert.deepEqual(errors, []);
    },
  );

  test(
    'qemu converts from it, compares with it, and writes to it',
    requires(['qemu-img', 'qemu-io'], 'our NBD server against qemu'),
    async () => {
      const { path, content } = await sparseFile('qemu.raw');
      const reader = new RawDisk(await FileReader.open(path));
      const { server, address } = await served({ disk: reader });
      await using _server = server;
      const image = join(folder, 'from-nbd.qcow2');
      await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', address, image]);
      await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', image, path]);
      const memory = new MemoryDisk(content.length);
      const target = await served({ disk: memory, writer: memory });
      await using _target = target.server;
      await run('qemu-img', [
        'convert',
        '-n',
        '-f',
        'qcow2',
        '-O',
        'raw',
        '-W',
        '-m',
        '8',
        image,
        target.address,
      ]);
      assert.deepEqual(await contentOf(memory), content);
      const commands = [
        'write -P 5 1M 100k',
        'write -z 1M 4k',
        'write -f -P 9 0 512',
        'discard 2M 64k',
        'flush',
        'read -P 5 1100k 8k',
      ];
      await run('qemu-io', ['-f', 'raw', ...commands.flatMap((each) => ['-c', each]), target.address]);
      content
        .fill(5, MiB, MiB + 102_400)
        .fill(0, MiB, MiB + 4096)
        .fill(9, 0, 512)
        .fill(0, 2 * MiB, 2 * MiB + 65_536);
      assert.deepEqual(await contentOf(memory), content);
      await reader.close();
    },
  );

  test(
    'libnbd finds the rules kept: requests beyond the end, of nothing, unknown, out of turn',
    requiresPython(['nbd'], 'refusals of our NBD server'),
    async () => {
      const memory = new MemoryDisk(MiB);
      const { server, address } = await served({ disk: memory, writer: memory });
      await using _server = server;
      const script = `
import nbd, sys
h = nbd.NBD(); h.set_strict_mode(0); h.add_meta_context("base:allocation"); h.connect_uri(sys.argv[1])
def errno(work):
    try: work(); return "fine"
    except nbd.Error as e: return e.errno
print(errno(lambda: h.pread(512, 2**20)), errno(lambda: h.pread(2, 2**20 - 1)), errno(lambda: h.pwrite(b"x" * 512, 2**20)),
      errno(lambda: h.pread(2**20 + 1, 0)), errno(lambda: h.zero(2**31, 0)), errno(lambda: h.cache(512, 0)), errno(lambda: h.pread(512, 0)))
got = []
h.block_status(2**20, 0, lambda context, offset, entries, error: got.append(entries) or 0, nbd.CMD_FLAG_REQ_ONE)
print(got)
`;
      const { stdout } = await run(DEBIAN_PYTHON, ['-c', script, address]);
      assert.deepEqual(stdout.trim().split('\n'), [
        'EINVAL EINVAL ENOSPC EINVAL ENOSPC EINVAL fine',
        '[[1048576, 3]]',
      ]);
    },
  );
});

describe('TLS', () => {
  const NEEDS = requires(['openssl', 'nbdinfo', 'qemu-nbd'], 'NBD over TLS');

  /** An authority, and a certificate of it for localhost and for a client, in one folder as qemu wants it. */
  async function certificates(): Promise<{ at: string; ca: Buffer; cert: Buffer; key: Buffer }> {
    const at = await mkdtemp(join(folder, 'tls-'));
    const file = (name: string): string => join(at, name);
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await run('openssl', [
      'req',
      '-x509',
      ...ec,
      '-keyout',
      file('ca-key.pem'),
      '-out',
      file('ca-cert.pem'),
      '-subj',
      '/CN=authority',
      '-days',
      '2',
    ]);
    for (const who of ['server', 'client']) {
      await run('openssl', [
        'req',
        ...ec,
        '-keyout',
        file(`${who}-key.pem`),
        '-out',
        file('csr'),
        '-subj',
        `/CN=${who}`,
      ]);
      await writeFile(
        file('ext'),
        'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
      );
      await run('openssl', [
        'x509',
        '-req',
        '-in',
        file('csr'),
        '-CA',
        file('ca-cert.pem'),
        '-CAkey',
        file('ca-key.pem'),
        '-CAcreateserial',
        '-days',
        '2',
        '-extfile',
        file('ext'),
        '-out',
        file(`${who}-cert.pem`),
      ]);
    }
    return {
      at,
      ca: await readFile(file('ca-cert.pem')),
      cert: await readFile(file('server-cert.pem')),
      key: await readFile(file('server-key.pem')),
    };
  }

  test(
    'our client to qemu-nbd: encrypted, with the authority checked, and never without',
    NEEDS,
    async () => {
      const { path, content } = await sparseFile('tls.raw');
      const { at, ca, cert, key } = await certificates();
      const socket = join(folder, 'tls.sock');
      const creds = [
        '--object',
        `tls-creds-x509,id=t,endpoint=server,dir=${at},verify-peer=yes`,
        '--tls-creds',
        't',
      ];
      {
        await using _qemu = await started(socket, 'qemu-nbd', [
          '-t',
          '-r',
          '-f',
          'raw',
          '-k',
          socket,
          ...creds,
          path,
        ]);
        const disk = await NbdDisk.open(uri(socket, '', 'nbds+unix'), { tls: { ca, cert, key } });
        assert.deepEqual(await contentOf(disk), content);
        await disk.close();
        await assert.rejects(NbdDisk.open(uri(socket, '', 'nbds+unix')), (error) =>
          hasCode(error, 'NBD_TLS_REFUSED'),
        );
        await assert.rejects(
          NbdDisk.open(uri(socket, '', 'nbds+unix'), { tls: { ca, serverName: 'other' } }),
          (error) => hasCode(error, 'NBD_TLS_REFUSED'),
        );
        await assert.rejects(NbdDisk.open(uri(socket)), (error) => hasCode(error, 'NBD_TLS_REQUIRED'));
      }
      await rm(socket, { force: true });
      await using _plain = await started(socket, 'qemu-nbd', ['-t', '-r', '-f', 'raw', '-k', socket, path]);
      await assert.rejects(NbdDisk.open(uri(socket, '', 'nbds+unix'), { tls: { ca } }), (error) =>
        hasCode(error, 'NBD_TLS_REFUSED'),
      );
    },
  );

  test(
    'our server to libnbd and qemu: encrypted, and who has no certificate gets nothing',
    NEEDS,
    async () => {
      const { at, ca, cert, key } = await certificates();
      const memory = new MemoryDisk(2 * MiB);
      await memory.write(0, randomBytes(MiB));
      await using server = await NbdServer.listen(
        { kind: 'tcp', host: '127.0.0.1', port: 0 },
        { exports: new Map([['', { disk: memory }]]), tls: { cert, key, clientCa: ca } },
      );
      assert.equal(server.place.kind, 'tcp');
      const address = `nbds://localhost:${server.place.port}/?tls-certificates=${at}`;
      const copy = join(folder, 'tls-copy.raw');
      await run('nbdcopy', [address, copy]);
      assert.deepEqual(await readFile(copy), await contentOf(memory));
      const options = `driver=nbd,server.type=inet,server.host=127.0.0.1,server.port=${server.place.port},tls-creds=t`;
      const creds = `tls-creds-x509,id=t,endpoint=client,dir=${at}`;
      await run('qemu-img', [
        'compare',
        '--object',
        creds,
        '--image-opts',
        options,
        `driver=file,filename=${copy}`,
      ]);
      await assert.rejects(
        run('nbdinfo', [`nbd://localhost:${server.place.port}`]),
        /Operation not supported|TLS/,
      );
      const ours = `nbds://localhost:${server.place.port}`;
      await assert.rejects(
        NbdDisk.open(ours, { tls: { ca } }).then((disk) => disk.read(0, Buffer.alloc(1))),
        (error) => hasCode(error, 'NBD_TLS_REFUSED', 'NBD_CONNECTION_LOST'),
      );
      const disk = await NbdDisk.open(ours, { tls: { ca, cert, key } });
      assert.deepEqual(await contentOf(disk), await contentOf(memory));
      await disk.close();
    },
  );
});
