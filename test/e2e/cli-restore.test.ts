/** Restore as its user meets it: the right disk, nothing replaced unasked, nothing read before that is clear. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { assertFailed, CliHome, LabProcess } from './cli.fixture.ts';

const lab = await LabProcess.start();
after(() => lab[Symbol.asyncDispose]());
const home = await CliHome.open(lab, 'plain');
after(() => home[Symbol.asyncDispose]());
const { id: db, disks } = await lab.client.createVm({
  name: 'db',
  disks: [
    { name: 'system', size: 20 * MiB },
    { name: 'data', size: 9 * MiB },
  ],
});
await lab.client.guestRun(db, { seed: 1, writes: 100 });
await home.ok('backup', 'db');
const [seal] = await lab.client.seals(db);

function restore(to: string, ...argv: readonly string[]) {
  return home.run('restore', 'latest', '--vm', 'db', '--to', to, '--format', 'raw', '--json', ...argv);
}

/** The first byte at which the image is not the disk at the checkpoint, or null. */
function difference(disk: number, ...path: readonly string[]): Promise<unknown> {
  return lab.client.compareImage(seal!.id, disks[disk - 1]!.diskId, home.path(...path));
}

test('--disk takes the number that points --disks shows, the id and the file name, each once', async () => {
  const [point] = (await home.ok('points', '--json', '--disks')).json().points;
  assert.deepEqual(
    point.disks.map(({ number, path }: { number: number; path: string }) => [number, path]),
    [
      [1, 'C:\\VMs\\db\\system.vhdx'],
      [2, 'C:\\VMs\\db\\data.vhdx'],
    ],
  );
  for (const name of ['2', point.disks[1].id.toUpperCase(), 'data', 'data.vhdx', '2,2']) {
    const to = `by-${name.replaceAll(/\W/g, '')}${name.length}`;
    const run = await restore(to, '--disk', name);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual((await readdir(home.path(to))).sort(), ['data.raw', 'vm.json'], `--disk ${name}`);
    assert.equal(await difference(2, to, 'data.raw'), null, `--disk ${name}`);
  }
  for (const name of ['0', '3', 'nothing', '-1']) {
    assertFailed(await restore('none', `--disk=${name}`), { exit: 2, code: 'FLOW_NO_SUCH_DISK' });
  }
  await assert.rejects(stat(home.path('none')), { code: 'ENOENT' }, 'and no folder is made for them');
});

test('a file that is in the way of the last disk is found before the first is written', async () => {
  await mkdir(home.path('taken'));
  await writeFile(home.path('taken', 'data.raw'), 'precious');
  assertFailed(await restore('taken'), { exit: 2, code: 'IMAGE_EXISTS' });
  assert.deepEqual(await readdir(home.path('taken')), ['data.raw']);
  assert.equal(await readFile(home.path('taken', 'data.raw'), 'utf8'), 'precious');
  assert.equal((await restore('taken', '--overwrite')).code, 0);
  assert.equal(await difference(1, 'taken', 'system.raw'), null);
  assert.equal(await difference(2, 'taken', 'data.raw'), null);
});

test('what a killed restore left is refused until it is given up with --overwrite', async () => {
  await mkdir(home.path('killed'));
  await writeFile(home.path('killed', 'system.raw.partial'), Buffer.alloc(64 * KiB, 7));
  assertFailed(await restore('killed'), { exit: 2, code: 'IMAGE_UNFINISHED' });
  assert.deepEqual(await readdir(home.path('killed')), ['system.raw.partial']);
  assert.equal((await restore('killed', '--overwrite')).code, 0);
  assert.deepEqual((await readdir(home.path('killed'))).sort(), ['data.raw', 'system.raw', 'vm.json']);
  assert.equal(await difference(1, 'killed', 'system.raw'), null);
});

test('disks of one point come one by one into a folder; the settings of another point are not replaced unasked', async () => {
  assert.equal((await restore('one-by-one', '--disk', '1')).code, 0);
  assert.equal((await restore('one-by-one', '--disk', '2')).code, 0);
  await home.ok('backup', 'db');
  const other = await home.run(
    'restore',
    'latest',
    '--vm',
    'db',
    '--to',
    'one-by-one',
    '--format',
    'qcow2',
    '--json',
  );
  assertFailed(other, { exit: 2, code: 'FLOW_SETTINGS_EXIST' });
  assert.deepEqual((await readdir(home.path('one-by-one'))).sort(), ['data.raw', 'system.raw', 'vm.json']);
});

test('a target that is a file, or lies below one, is refused', async () => {
  await writeFile(home.path('file'), '');
  for (const to of ['file', 'file/below'])
    assertFailed(await restore(to), { exit: 2, code: 'FLOW_NO_FOLDER' });
});
