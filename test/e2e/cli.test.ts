/**
 * What goes wrong, as the user meets it: each a code, a remedy and the exit code of docs/reference/cli.md; nothing lost in
 * the repository, nothing left on the host, no secret on the screen.
 */
import assert from 'node:assert/strict';
import { cp, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { freePort } from '../interop/local-server.fixture.ts';
import { assertFailed, CliHome, LabProcess, mountSmall, PASSPHRASE, requiresRoot } from './cli.fixture.ts';

const lab = await LabProcess.start();
after(() => lab[Symbol.asyncDispose]());
const home = await CliHome.open(lab);
after(() => home[Symbol.asyncDispose]());
const { id: db } = await lab.client.createVm({ name: 'db', disks: [{ size: 96 * MiB }, { size: 33 * MiB }] });
await lab.client.guestRun(db, { seed: 1, writes: 400 });
await home.ok('backup', 'db');

/** The VM's own restore points are as they were and can be read; the host holds one reference point and nothing else. */
async function assertNothingLost(before: readonly unknown[]): Promise<void> {
  assert.deepEqual(await home.points(), before);
  assert.deepEqual(await lab.traces('db'), { checkpoints: 0, referencePoints: 1 });
}

async function otherHost(name: string, url: string, password: string): Promise<void> {
  await writeFile(home.path(`${name}.password`), password, { mode: 0o600 });
  await home.ok(
    'host', 'add', name, '--url', url, '--user', lab.address.user, '--password-file', `${name}.password`,
  ); // oxfmt-ignore
}

test('a wrong password is refused, and neither it nor the right one is shown', async () => {
  const before = await home.points();
  home.secrets.push('not-the-password-of-it');
  await otherHost('wrong', lab.address.url, 'not-the-password-of-it');
  for (const argv of [
    ['host', 'test', 'wrong'],
    ['backup', 'db'],
  ]) {
    const option = argv[0] === 'host' ? [] : ['--host', 'wrong'];
    const run = await home.run(...argv, ...option, '--json');
    assertFailed(run, { exit: 2, code: 'WINRM_AUTHENTICATION_FAILED' });
  }
  await assertNothingLost(before);
});

test('a host that is not there is a matter of time: a closed port, and a name nobody knows', async () => {
  const port = await freePort();
  await otherHost('closed', `http://127.0.0.1:${port}/wsman`, 'x-password-x');
  await otherHost('unknown', 'http://hv1.invalid:5985/wsman', 'x-password-x');
  for (const name of ['closed', 'unknown']) {
    assertFailed(await home.run('vms', '--host', name, '--json'), { exit: 75, code: 'WINRM_UNREACHABLE' });
  }
});

test('a VM nobody knows does not stop the others, and the exit code is the worst of all', async () => {
  const { id } = await lab.client.createVm({ name: 'beside', disks: [{ size: 8 * MiB }] });
  const run = await home.run('backup', 'nobody', 'beside', '--json');
  assertFailed(run, { exit: 2, code: 'HYPERV_VM_NOT_FOUND' });
  const [failed, done] = run.json().runs;
  assert.deepEqual([failed.vm.name, failed.exitCode, failed.pointId], ['nobody', 2, undefined]);
  assert.match(failed.runId, /^[0-9a-f-]{36}$/, 'a failed run has an id to look for in logs');
  assert.deepEqual([done.vm, done.exitCode], [{ id: id.toLowerCase(), name: 'beside' }, 0]);
});

test('a VM that fails after it was found is named by its id in its record', async () => {
  const before = await home.points();
  await lab.client.addFault({
    method: 'CreateSnapshot',
    misbehaviour: { kind: 'return', code: 32775 },
    times: 5,
  });
  const run = await home.run('backup', 'db', '--consistency', 'crash', '--json');
  await lab.client.clearFaults();
  const [failed] = run.json().runs;
  assert.equal(failed.vm.id, db.toLowerCase());
  assert.equal(run.code, failed.exitCode);
  assert.notEqual(failed.error.code, 'UNEXPECTED');
  await assertNothingLost(before);
});

test('a name two VMs have is refused, and either id works', async () => {
  const { id } = await lab.client.createVm({ name: 'twin', disks: [{ size: 8 * MiB }] });
  await lab.client.createVm({ name: 'twin', disks: [{ size: 8 * MiB }] });
  const run = await home.run('backup', 'twin', '--json');
  assertFailed(run, { exit: 2, code: 'HYPERV_VM_AMBIGUOUS' });
  assert.ok(run.stderr.includes(id.toLowerCase()), 'the message has the ids to choose from');
  await home.ok('backup', id);
});

test('a folder without a repository, a missing one, and one with other files in it', async () => {
  const foreign = home.path('foreign');
  await cp(home.path('key'), join(foreign, 'a file of somebody'), { recursive: true });
  for (const argv of [['backup', 'db'], ['verify'], ['restore', 'latest', '--vm', 'db', '--to', 'x']]) {
    const run = await home.run(...argv, '--repo', './foreign', '--json');
    assertFailed(run, { exit: 2, code: 'REPO_NOT_INITIALISED' });
  }
  assertFailed(await home.run('points', '--repo', './missing'), { exit: 2, code: 'STORE_FOLDER_MISSING' });
  const init = await home.run('init', '--repo', './foreign', '--no-encryption', '--json');
  assertFailed(init, { exit: 2, code: 'CLI_FOLDER_NOT_EMPTY' });
  assert.deepEqual(await readdir(foreign), ['a file of somebody']);
  assertFailed(await home.run('init', '--repo', './repo', '--no-encryption'), {
    exit: 2,
    code: 'REPO_ALREADY_INITIALISED',
  });
});

test('a wrong passphrase, none at all and a wrong recovery key; the saved key opens', async () => {
  home.secrets.push('wrong horse');
  await writeFile(home.path('wrong'), 'wrong horse', { mode: 0o600 });
  const wrong = await home.run('verify', '--passphrase-file', 'wrong', '--json');
  assertFailed(wrong, { exit: 2, code: 'REPO_WRONG_PASSPHRASE' });
  assertFailed(await home.run('points', '--repo', './repo'), { exit: 2, code: 'SECRET_NO_TERMINAL' });
  assertFailed(await home.run('points', '--passphrase-file', 'nowhere'), {
    exit: 2,
    code: 'SECRET_FILE_UNREADABLE',
  });
  const key = await home.run('points', '--recovery-key-file', 'wrong');
  assertFailed(key, { exit: 2, code: 'REPO_RECOVERY_KEY_INVALID' });
  assert.ok((await home.points('--recovery-key-file', 'key')).length > 0);
  const variable = home.start(['points', '--repo', './repo'], { HVLIFT_PASSPHRASE: PASSPHRASE });
  assert.equal((await variable.ended).code, 0);
});

test('one changed byte in a pack: verify names what is hurt, restore leaves no image, the rest is whole', async () => {
  await cp(home.path('repo'), home.path('hurt'), { recursive: true });
  const pack = await largestFile(home.path('hurt', 'packs'));
  await flipByte(pack, 100 * KiB);
  const options = ['--repo', './hurt', '--passphrase-file', 'passphrase'];
  const verified = await home.run('verify', ...options, '--json');
  assert.equal(verified.code, 3, verified.stderr);
  const { damaged } = verified.json();
  assert.equal(damaged.length, 1);
  const [{ vm, disk, extents }] = damaged[0].affects;
  assert.equal(vm, 'db');
  assert.ok(extents.length > 0);
  const restored = await home.run(
    'restore',
    'latest',
    '--vm',
    'db',
    '--to',
    'hurt-out',
    '--disk',
    String(disk),
    ...options,
    '--json',
  );
  assertFailed(restored, { exit: 3, code: 'REPO_OBJECT_DAMAGED' });
  assert.deepEqual(await readdir(home.path('hurt-out')), [], 'no image that somebody could start a VM from');
  await home.ok(
    'restore',
    'latest',
    '--vm',
    'db',
    '--to',
    'hurt-out',
    '--disk',
    String(3 - disk),
    ...options,
  );
  await flipByte(pack, 100 * KiB);
  await home.ok('verify', ...options);
});

test('a damaged index hides what it holds, names the command that makes it anew, and that brings all of it back', async () => {
  await cp(home.path('repo'), home.path('unindexed'), { recursive: true });
  const segments = await readdir(home.path('unindexed', 'index'));
  for (const segment of segments) await flipByte(home.path('unindexed', 'index', segment), 20);
  const options = ['--repo', './unindexed', '--passphrase-file', 'passphrase'];
  const restore = ['restore', 'latest', '--vm', 'db', '--to', 'unindexed-out', ...options];
  const refused = await home.run(...restore, '--json');
  assertFailed(refused, { exit: 3, code: 'REPO_INDEX_DAMAGED' });
  assert.match(refused.json().error.remedy, /`hvlift repair --apply`/);
  await home.ok('repair', '--apply', ...options);
  await home.ok('verify', ...options);
  await home.ok(...restore);
});

test('a VHDX cut short on the host is damage: nothing of it is stored, and it is named', async () => {
  const { id, disks } = await lab.client.createVm({ name: 'cut', disks: [{ size: 16 * MiB }] });
  await lab.client.guestRun(id, { seed: 3, writes: 20 });
  await lab.client.setPower(id, 'off');
  const file = lab.fileOf(disks[0]!.files[0]!);
  const whole = await readFile(file);
  await truncate(file, 5 * MiB);
  const run = await home.run('backup', 'cut', '--json');
  assertFailed(run, { exit: 3, code: 'VHDX_BLOCK_PLACE' });
  assert.ok(run.stderr.includes('C:\\VMs\\cut'), 'the file is named as the host names it');
  assert.deepEqual(await lab.traces('cut'), { checkpoints: 0, referencePoints: 0 });
  assert.deepEqual(await home.points('--vm', 'cut'), []);
  await writeFile(file, whole);
  await home.ok('backup', 'cut');
});

test('a pass-through disk refuses its VM, or is left out on demand with a warning that has a code', async () => {
  const { id } = await lab.client.createVm({ name: 'raw', disks: [{ size: 8 * MiB }] });
  await lab.client.addDrive(id, { kind: 'physical', path: 'PHYSICALDRIVE2' });
  assertFailed(await home.run('backup', 'raw', '--json'), { exit: 2, code: 'CAPTURE_UNPROTECTABLE_DISK' });
  const run = await home.run('backup', 'raw', '--skip-unprotectable', '--json');
  assert.equal(run.code, 4, run.stderr);
  const [{ warnings, disks }] = run.json().runs;
  assert.deepEqual(
    warnings.map(({ code }: { code: string }) => code),
    ['CAPTURE_DISK_LEFT_OUT'],
  );
  assert.equal(disks.length, 1);
  assert.match(run.stderr, /^warning CAPTURE_DISK_LEFT_OUT: .*\ndo: \S/m);
});

test(
  'a volume that fills up while a backup writes: nothing on the host, nothing half-done, and it goes on with room',
  {
    ...requiresRoot('a full volume under a repository'),
  },
  async () => {
    await using volume = await mountSmall(home, 'small', 'size=4m');
    await home.ok('init', '--repo', './small/repo', '--no-encryption');
    const before = await home.points();
    const run = await home.run('backup', 'db', '--repo', './small/repo', '--json');
    assertFailed(run, { exit: 2, code: 'STORE_NO_SPACE' });
    await assertNothingLost(before);
    assert.deepEqual(await home.points('--repo', './small/repo'), []);
    await volume.remount('size=200m');
    await home.ok('backup', 'db', '--repo', './small/repo');
    await home.ok('verify', '--repo', './small/repo');
    const full = await mountSmall(home, 'small-target', 'size=4m');
    await using _ = full;
    const restored = await home.run(
      'restore',
      'latest',
      '--vm',
      'db',
      '--to',
      './small-target/out',
      '--json',
    );
    assertFailed(restored, { exit: 2, code: 'DISK_NO_SPACE' });
    assert.deepEqual(await readdir(join(full.path, 'out')), []);
  },
);

test(
  'a read-only volume, for the repository and for the images',
  {
    ...requiresRoot('a volume mounted read-only'),
  },
  async () => {
    await using _volume = await mountSmall(home, 'fixed', 'ro');
    const init = await home.run('init', '--repo', './fixed/repo', '--no-encryption', '--json');
    assertFailed(init, { exit: 2, code: 'STORE_READ_ONLY' });
    const restored = await home.run('restore', 'latest', '--vm', 'db', '--to', './fixed/a/b', '--json');
    assertFailed(restored, { exit: 2, code: 'FLOW_NO_FOLDER' });
  },
);

test('every mistake of a configuration is named at once, without the secret one of them is', async () => {
  home.secrets.push('hunter2-hunter2');
  const text = 'hosts:\n  lab:\n    url: ftp://x\n    usr: a\n    password: hunter2-hunter2\nrepos: {}\n';
  await writeFile(home.path('bad.yaml'), text);
  const run = await home.run('vms', '--config', 'bad.yaml');
  assertFailed(run, { exit: 2, code: 'CONFIG_INVALID' });
  for (const line of ['3:5', '4:5', '5:5', '6:1']) assert.ok(run.stderr.includes(`bad.yaml:${line} `), line);
});

test('a command line that is wrong is 64, says so with --json too, and begins nothing', async () => {
  const lines = [
    ['backup', 'db', '--fulll'],
    ['bakcup'],
    ['backup'],
    ['restore', 'latest', '--to', 'x'],
    ['points', '--repo'],
    ['backup', 'db', '--password', 'x'],
  ];
  for (const argv of lines) assertFailed(await home.run(...argv, '--json'), { exit: 64, code: 'CLI_USAGE' });
  await assert.rejects(stat(home.path('x')), { code: 'ENOENT' });
});

test('a reader of stdout that goes away stops no backup and is no error', async () => {
  const { id } = await lab.client.createVm({ name: 'piped', disks: [{ size: 8 * MiB }] });
  const backup = home.start(['backup', id, '--json']);
  backup.process.stdout!.destroy();
  assert.equal((await backup.ended).code, 0);
  assert.equal((await home.points('--vm', 'piped')).length, 1);
});

test('change tracking by hand works on a machine that has never kept state', async () => {
  const { id } = await lab.client.createVm({ name: 'tracked', disks: [{ size: 8 * MiB }] });
  const { id: since } = (await home.ok('rct', 'enable', 'tracked', '--json')).json();
  await lab.client.guestWrite(id, { offset: MiB, length: 64 * KiB, seed: 1 });
  const changes = (await home.ok('rct', 'changes', 'tracked', '--since', since, '--json')).json();
  assert.deepEqual(changes.disks[0].extents, [{ offset: MiB, length: 64 * KiB }]);
  const unknown = await home.run('rct', 'changes', 'tracked', '--since', 'nothing', '--json');
  assertFailed(unknown, { exit: 2, code: 'HYPERV_REFERENCE_POINT_NOT_FOUND' });
  await home.ok('rct', 'reset', 'tracked');
  assert.deepEqual(await lab.traces(id), { checkpoints: 0, referencePoints: 0 });
});

async function largestFile(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  const sized = await Promise.all(files.map(async (path) => ({ path, size: (await stat(path)).size })));
  return sized.sort((a, b) => b.size - a.size)[0]!.path;
}

async function flipByte(path: string, offset: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, offset);
}
