/** SSH against OpenSSH's sshd: whom we believe, how we log on, and what is passed on. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasCode } from '../../src/base/index.ts';
import { createSftpClient, type SftpOptions } from '../../src/sftp/index.ts';
import { createSshTunnel, hasNativeSshCrypto, type HostKeyOffer } from '../../src/ssh/index.ts';
import { makeKey, requiresSshd, startSshd, type Sshd } from './sshd.fixture.ts';

const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => hasCode(error, code));

describe(
  'ssh against OpenSSH',
  requiresSshd('host keys, log-on and tunnels against an independent server'),
  () => {
    let sshd: Sshd;
    before(async () => {
      sshd = await startSshd({ hostKeys: ['ed25519', 'ecdsa', 'rsa'] });
      await writeFile(sshd.pathOf('/C:/a.vhdx'), 'here');
    });
    after(() => sshd[Symbol.asyncDispose]());

    /** Opens a file, which needs everything: trust, log-on, SFTP. */
    async function logOn(options: Partial<SftpOptions>, server: Sshd = sshd): Promise<void> {
      await using sftp = createSftpClient({ ...server.target, ...options });
      assert.equal((await sftp.open('/C:/a.vhdx')).size, 4);
    }
    let files = 0;
    async function knownHosts(...lines: readonly string[]): Promise<string> {
      const path = join(sshd.folder, `known_hosts ${(files += 1)}`);
      await writeFile(path, lines.map((line) => `${line}\n`).join(''));
      return path;
    }
    const nameOf = (): string => `[127.0.0.1]:${sshd.port}`;

    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      test(`a pin on the ${type} key is enough, though the server shows others first`, () =>
        logOn({ hostKey: { fingerprint: sshd.fingerprint(type) } }));
      test(`known_hosts with the ${type} key alone is enough`, async () =>
        logOn({ hostKey: { knownHosts: await knownHosts(`${nameOf()} ${sshd.publicKey(type)}`) } }));
    }

    test('another key than the pinned one is refused before anything about us is sent', async () => {
      let asked = 0;
      const password = async (): Promise<string> => {
        asked += 1;
        return 'secret';
      };
      const fingerprint = `SHA256:${'A'.repeat(43)}`;
      await using sftp = createSftpClient({
        ...sshd.target,
        hostKey: { fingerprint },
        logOn: { password },
      });
      const changed = { code: 'SSH_HOST_KEY_CHANGED', message: /SHA256:/ };
      await assert.rejects(sftp.open('/C:/a.vhdx'), changed);
      await assert.rejects(sftp.open('/C:/a.vhdx'), changed);
      assert.equal(asked, 1, 'and nothing is tried again');
      await rejects(logOn({ hostKey: { fingerprint: 'MD5:00' } }), 'SSH_BAD_FINGERPRINT');
    });

    test('a host that known_hosts does not name is refused, and told what to compare', async () => {
      const hostKey = { knownHosts: join(sshd.folder, 'none') };
      await assert.rejects(logOn({ hostKey }), (error) => {
        assert.ok(hasCode(error, 'SSH_HOST_KEY_UNKNOWN'));
        assert.ok(error.message.includes(sshd.fingerprint('ed25519')));
        return true;
      });
    });

    test('who confirms a new key finds it in known_hosts, and is asked once for two connections', async () => {
      const path = await knownHosts('# somebody else', 'other.example ssh-ed25519 AAAA');
      await writeFile(path, (await readFile(path, 'utf8')).trimEnd());
      const offers: HostKeyOffer[] = [];
      const confirm = async (offer: HostKeyOffer): Promise<boolean> => {
        offers.push(offer);
        return true;
      };
      await writeFile(sshd.pathOf('/C:/large.vhdx'), Buffer.alloc(4 << 20));
      await using sftp = createSftpClient({ ...sshd.target, hostKey: { knownHosts: path, confirm } });
      const file = await sftp.open('/C:/large.vhdx');
      await file.read(0, Buffer.alloc(file.size));
      assert.deepEqual(offers, [
        { host: '127.0.0.1', type: 'ssh-ed25519', fingerprint: sshd.fingerprint('ed25519') },
      ]);
      await logOn({ hostKey: { knownHosts: path } });
      const ours = execFileSync('ssh-keygen', ['-F', nameOf(), '-f', path], { encoding: 'utf8' });
      assert.ok(ours.includes(sshd.publicKey('ed25519')), 'OpenSSH reads what we wrote');
    });

    test('who does not confirm a new key gets no connection, and nothing is remembered', async () => {
      const path = await knownHosts();
      await rejects(
        logOn({ hostKey: { knownHosts: path, confirm: async () => false } }),
        'SSH_HOST_KEY_UNKNOWN',
      );
      assert.equal(await readFile(path, 'utf8'), '');
    });

    test('a host set up anew is refused until the old key is taken out, and nobody is asked', async () => {
      await using server = await startSshd();
      await writeFile(server.pathOf('/C:/a.vhdx'), 'here');
      const path = await knownHosts(`[127.0.0.1]:${server.port} ${server.publicKey('ed25519')}`);
      const hostKey = { knownHosts: path, confirm: () => assert.fail('nobody may wave this through') };
      await logOn({ hostKey }, server);
      await server.kill();
      await server.newHostKey('ed25519');
      await server.start();
      await assert.rejects(logOn({ hostKey }, server), (error) => {
        assert.ok(hasCode(error, 'SSH_HOST_KEY_CHANGED'));
        assert.ok(error.remedy.includes(path));
        return true;
      });
    });

    test('names that OpenSSH hashed are found; a revoked key is refused though it is trusted too', async () => {
      const path = await knownHosts(`${nameOf()} ${sshd.publicKey('ed25519')}`);
      execFileSync('ssh-keygen', ['-H', '-f', path], { stdio: 'ignore' });
      assert.ok((await readFile(path, 'utf8')).startsWith('|1|'));
      await logOn({ hostKey: { knownHosts: path } });
      await appendFile(path, `@revoked * ${sshd.publicKey('ed25519')}\n`);
      await rejects(logOn({ hostKey: { knownHosts: path } }), 'SSH_HOST_KEY_REVOKED');
    });

    test('a key nobody authorised is refused and names the file to look at', async () => {
      const path = join(sshd.folder, 'stranger');
      makeKey(path, 'ed25519');
      await assert.rejects(logOn({ logOn: { key: { path } } }), (error) => {
        assert.ok(hasCode(error, 'SSH_LOGON_FAILED'));
        assert.match(error.remedy, /administrators_authorized_keys/);
        return true;
      });
    });

    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      test(`an ${type} key with a passphrase, which is asked for`, async () => {
        const path = join(sshd.folder, `sealed_${type}`);
        makeKey(path, type, 'open sesame');
        await appendFile(join(sshd.folder, 'authorized_keys'), await readFile(`${path}.pub`));
        await logOn({ logOn: { key: { path, passphrase: async () => 'open sesame' } } });
        for (const key of [{ path }, { path, passphrase: async () => 'wrong' }]) {
          await rejects(logOn({ logOn: { key } }), 'SSH_KEY_UNUSABLE');
        }
      });
    }

    test('files that hold no private key are told apart from a key that is refused', async () => {
      for (const path of [`${sshd.keyFile}.pub`, join(sshd.folder, 'sshd_config'), '/no/such/key']) {
        await rejects(logOn({ logOn: { key: { path } } }), 'SSH_KEY_UNUSABLE');
      }
      await rejects(logOn({ logOn: {} }), 'SSH_NO_METHOD');
    });

    test('the agent logs on; one that is not there gives way to the key file, and is named when nothing works', async () => {
      const agent = join(sshd.folder, 'agent');
      const process = spawn('ssh-agent', ['-D', '-a', agent], { stdio: 'ignore' });
      try {
        await added(agent, sshd.keyFile);
        await logOn({ logOn: { agent } });
      } finally {
        process.kill();
      }
      const gone = join(sshd.folder, 'no agent');
      await logOn({ logOn: { agent: gone, key: { path: sshd.keyFile } } });
      await assert.rejects(logOn({ logOn: { agent: gone } }), {
        code: 'SSH_LOGON_FAILED',
        message: /the agent:/,
      });
    });

    test('a password is offered only when it was named, and once', async () => {
      await using server = await startSshd({ config: ['PasswordAuthentication yes'] });
      let asked = 0;
      const password = async (): Promise<string> => {
        asked += 1;
        return 'wrong';
      };
      await using sftp = createSftpClient({ ...server.target, logOn: { password } });
      for (const _ of [1, 2]) {
        await assert.rejects(sftp.open('/C:/a.vhdx'), {
          code: 'SSH_LOGON_FAILED',
          message: /tried by password/,
        });
      }
      assert.equal(asked, 1);
    });

    test('a server without SFTP, one that speaks nothing we do, and one that is not there', async () => {
      await using shellOnly = await startSshd({
        config: ['Subsystem other internal-sftp', 'ForceCommand /bin/false'],
      });
      await assert.rejects(logOn({}, shellOnly), (error) =>
        hasCode(error, 'SSH_SUBSYSTEM_REFUSED', 'SSH_CONNECTION_LOST'),
      );
      await using old = await startSshd({ config: ['Ciphers aes128-cbc'] });
      await rejects(logOn({}, old), 'SSH_HANDSHAKE_FAILED');
      await old.kill();
      await rejects(logOn({}, old), 'SSH_UNREACHABLE');
    });

    test('something else than SSH on the port ends with a fault in bounded time', async () => {
      for (const greeting of ['HTTP/1.1 400 Bad Request\r\n\r\n', '\u0000'.repeat(100_000), '']) {
        const server = createServer((socket) => {
          socket.on('error', () => undefined);
          socket.end(greeting);
        }).listen(0, '127.0.0.1');
        await new Promise((resolve) => server.once('listening', resolve));
        const { port } = server.address() as AddressInfo;
        try {
          await assert.rejects(logOn({ port, connectTimeoutSeconds: 1 }), (error) =>
            hasCode(error, 'SSH_UNREACHABLE', 'SSH_HANDSHAKE_FAILED'),
          );
        } finally {
          server.close();
        }
      }
    });

    test('a tunnel carries bytes both ways, many at once, and says when it may not', async () => {
      const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
      await new Promise((resolve) => echo.once('listening', resolve));
      const { port } = echo.address() as AddressInfo;
      await using tunnel = createSshTunnel(sshd.target);
      try {
        await Promise.all(
          Array.from({ length: 5 }, async (_, i) => {
            const socket = await tunnel.connect('127.0.0.1', port);
            const sent = Buffer.alloc(300_000, i);
            socket.end(sent);
            const got = await socket.toArray();
            assert.ok(Buffer.concat(got as Buffer[]).equals(sent));
            assert.equal(socket.bytesWritten, sent.length);
          }),
        );
      } finally {
        echo.close();
      }
      await rejects(tunnel.connect('127.0.0.1', 1), 'SSH_FORWARD_REFUSED');
      await tunnel.close();
      await rejects(tunnel.connect('127.0.0.1', port), 'SSH_CLOSED');
    });

    test('a tunnel that broke is made again for the next connection', async () => {
      const echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(
        0,
        '127.0.0.1',
      );
      await new Promise((resolve) => echo.once('listening', resolve));
      const { port } = echo.address() as AddressInfo;
      await using tunnel = createSshTunnel(sshd.target);
      try {
        const first = await tunnel.connect('127.0.0.1', port);
        const closed = new Promise((resolve) => first.once('close', resolve));
        await sshd.kill();
        await closed;
        await sshd.start();
        const second = await tunnel.connect('127.0.0.1', port);
        second.end('again');
        assert.equal(Buffer.concat((await second.toArray()) as Buffer[]).toString(), 'again');
      } finally {
        echo.close();
      }
    });

    const headers = join(dirname(dirname(realpathSync(process.execPath))), 'include', 'node', 'node.h');
    const skip = existsSync(headers)
      ? false
      : 'this Node came without headers: not proved that its ciphers are native';
    test("the project's installation made the native cipher load", { skip }, () => {
      assert.ok(hasNativeSshCrypto(), 'run `npm test` once: it builds it; needs a C++ compiler');
    });
  },
);

/** The agent needs a moment to listen. */
async function added(agent: string, keyFile: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      execFileSync('ssh-add', ['-q', keyFile], {
        env: { ...process.env, SSH_AUTH_SOCK: agent },
        stdio: 'ignore',
      });
      return;
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
