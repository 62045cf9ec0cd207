/** SMB logged on by Kerberos, against Samba and a KDC of MIT: the session key has 32 bytes, which NTLM never has. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSmbClient, type SmbClient, type SmbOptions } from '../../src/smb/index.ts';
import { REALM, requiresKerberos, startRealm, USER, type Realm } from './kerberos.fixture.ts';
import { requiresSamba, startSamba, type Samba } from './samba.fixture.ts';

const UNPROVED = 'SMB with Kerberos';
const needs = { ...requiresKerberos(UNPROVED), ...requiresSamba(UNPROVED) };
const CONTENT = randomBytes(300_000);

async function startServer(realm: Realm, ...global: string[]): Promise<Samba> {
  const keytab = realm.keytab('cifs/localhost');
  const samba = await startSamba({
    global: [
      `realm = ${REALM}`,
      'kerberos method = dedicated keytab',
      `dedicated keytab file = ${keytab}`,
      ...global,
    ],
  });
  await writeFile(join(samba.folderOf('C$'), 'a.bin'), CONTENT);
  return samba;
}

function connectTo(samba: Samba, options: Partial<SmbOptions>): SmbClient {
  return createSmbClient({ host: 'localhost', port: samba.port, credentials: USER, ...options });
}

async function read(client: SmbClient): Promise<Buffer> {
  const file = await client.open('C$', 'a.bin');
  const content = Buffer.alloc(file.size);
  await file.read(0, content);
  await file.close();
  return content;
}

for (const cipher of ['AES-128-GCM', 'AES-256-GCM']) {
  test(`a file is read by Kerberos and ${cipher}, again after the server was restarted`, needs, async () => {
    await using realm = await startRealm({ services: ['cifs/localhost'] });
    await using samba = await startServer(realm, `smb3 encryption algorithms = ${cipher}`);
    await using client = connectTo(samba, { mechanism: 'kerberos' });
    assert.deepEqual(await read(client), CONTENT);
    await samba.kill();
    await samba.start();
    assert.deepEqual(await read(client), CONTENT);
  });
}

test('by a keytab no password is asked for; a wrong password is refused by the KDC', needs, async () => {
  await using realm = await startRealm({ services: ['cifs/localhost'] });
  await using samba = await startServer(realm);
  const silent = { user: USER.user, password: () => Promise.reject(new Error('asked for a password')) };
  const keytab = realm.keytab('backup');
  await using client = connectTo(samba, { credentials: silent, keytab });
  assert.deepEqual(await read(client), CONTENT);
  const wrong = { user: USER.user, password: 'wrong' };
  await using refused = connectTo(samba, { credentials: wrong });
  await assert.rejects(read(refused), { code: 'KERBEROS_PASSWORD_REFUSED' });
});
