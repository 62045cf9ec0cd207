/** The SFTP driver against OpenSSH: one server for all tests of this file. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { hasCode } from '../../src/base/index.ts';
import { objectStoreConformance } from '../../src/objectstore/conformance.ts';
import { openSftpStore, type ObjectStore } from '../../src/objectstore/index.ts';
import { requiresSshd, startSshd, type Sshd } from './sshd.fixture.ts';

describe('SFTP', requiresSshd('that repositories work over SFTP'), () => {
  let sshd: Sshd;
  let stores = 0;
  const open: ObjectStore[] = [];

  before(async () => {
    sshd = await startSshd();
    await mkdir(sshd.pathOf('/stores'));
    // The user of SFTP is Debian's `backup`.
    spawnSync('chown', ['backup', sshd.pathOf('/stores')]);
  });
  after(async () => {
    await Promise.all(open.map(async (store) => store.close?.()));
    await sshd[Symbol.asyncDispose]();
  });

  const openStore = async (path: string, create = false): Promise<ObjectStore> => {
    const store = await openSftpStore({ ...sshd.target, path, create });
    open.push(store);
    return store;
  };

  const openNew = (): Promise<ObjectStore> => openStore(`/stores/${(stores += 1)}`, true);

  objectStoreConformance('SFTP', openNew, { lists: 10 });

  test('a missing folder is refused, and only its last part is made when asked', async () => {
    const missing = (error: unknown): boolean => hasCode(error, 'STORE_FOLDER_MISSING');
    await assert.rejects(openStore('/stores/absent'), missing);
    await assert.rejects(openStore('/stores/a/b', true), missing);
  });

  test('a file in place of the folder is refused, and a folder of others is left alone', async () => {
    await writeFile(sshd.pathOf('/stores/file'), '');
    await assert.rejects(openStore('/stores/file'), (error) => hasCode(error, 'STORE_NOT_A_FOLDER'));
    await mkdir(sshd.pathOf('/stores/of-root'));
    const store = await openStore('/stores/of-root');
    await assert.rejects(store.putNew('a', Buffer.alloc(1)), (error) =>
      hasCode(error, 'STORE_ACCESS_DENIED'),
    );
  });

  test('when the volume goes away nothing looks absent and nothing is written beneath it', async () => {
    const store = await openNew();
    await store.putNew('packs/p', Buffer.alloc(1));
    const root = sshd.pathOf(`/stores/${stores}`);
    await rename(root, `${root}-away`);
    await mkdir(root);
    spawnSync('chown', ['backup', root]);
    const gone = (error: unknown): boolean => hasCode(error, 'STORE_FOLDER_MISSING');
    await assert.rejects(store.stat('packs/p'), gone);
    await assert.rejects(store.getRange('packs/p', 0, 1), gone);
    await assert.rejects(Array.fromAsync(store.list('')), gone);
    await assert.rejects(store.putNew('packs/q', Buffer.alloc(1)), gone);
    assert.deepEqual(await readdir(root), []);
  });

  test('what a killed process left in .incoming is removed when the store is opened', async () => {
    const store = await openNew();
    await store.putNew('a', Buffer.alloc(1));
    const incoming = sshd.pathOf(`/stores/${stores}/.incoming`);
    const dead = spawnSync(process.execPath, ['-C', 'source', '--input-type=module', '-e', PRINT_MARK]);
    await writeFile(`${incoming}/${dead.stdout.toString()}-0011.part`, 'x');
    await writeFile(`${incoming}/deadbeef.1.1.1.1-0022.part`, 'x');
    await openStore(`/stores/${stores}`);
    assert.deepEqual(await readdir(incoming), ['deadbeef.1.1.1.1-0022.part']);
    await rm(incoming, { recursive: true });
  });
});

const PRINT_MARK = `
  import { processMark } from '${new URL('../../src/objectstore/index.ts', import.meta.url).href}';
  process.stdout.write(processMark());
`;
