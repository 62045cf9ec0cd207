/** The whole lab, as the process people start, before a client that knows nothing of this project. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startLab } from '../../lab/demo/lab-process.ts';
import { scratch } from '../../lab/model/scratch.fixture.ts';
import { listWithPywinrm, needsPywinrm } from './pywinrm.ts';

test(
  'pywinrm lists the VMs of a lab that was started as a program, and nothing with a wrong password',
  needsPywinrm,
  async () => {
    await using temporary = await scratch();
    await using lab = await startLab(join(temporary.folder, 'host'));
    const names = ['sql01', 'a "quoted" & <angled> name', '検証サーバー'];
    const created: [string, string][] = [];
    for (const name of names) {
      const { id } = await lab.client.createVm({ name, disks: [{ size: 1024 * 1024 }] });
      created.push([id, name]);
    }
    const { url, user, passwordFile } = lab.address;
    const password = (await readFile(passwordFile, 'utf8')).trim();
    const { vms, text } = await listWithPywinrm(url, user, password);
    const listed = new Map(vms);
    for (const [id, name] of created) assert.equal(listed.get(id), name, text);
    assert.equal(vms!.length, names.length + 1, 'the host itself is one more');
    assert.equal((await listWithPywinrm(url, user, 'wrong')).error, 'InvalidCredentialsError');
  },
);
