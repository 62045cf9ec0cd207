/** Replication as its user meets it: seeded from a restore point, killed, short of room, stopped, forgotten. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { assertFailed, CliHome, LabProcess, mountSmall, requiresRoot } from './cli.fixture.ts';

const lab = await LabProcess.start();
const home = await CliHome.open(lab, 'plain');
// The lab last: it keeps no process alive, so nothing may have to be done once it has gone.
after(async () => {
  await home[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});
const { id: db, disks } = await lab.client.createVm({
  name: 'db',
  disks: [{ name: 'system', size: 20 * MiB }],
});
await lab.client.guestRun(db, { seed: 1, writes: 40 });

/** The first byte at which the image is not the disk at the newest seal, or null. */
async function difference(...path: readonly string[]): Promise<unknown> {
  const seal = (await lab.client.seals(db)).at(-1)!;
  return lab.client.compareImage(seal.id, disks[0]!.diskId, home.path(...path));
}

function write(n: number): Promise<unknown> {
  return lab.client.guestWrite(db, { offset: n * 256 * KiB, length: 64 * KiB, seed: n });
}

test('seeded from a restore point, kept up to date, listed, settled after it was killed, forgotten', async () => {
  await home.ok('backup', 'db');
  await write(3);
  const replicate = ['replicate', 'db', '--to', 'dir:./replica', '--json'];
  const seed = (await home.ok(...replicate, '--seed', 'latest')).json().cycles[0];
  assert.deepEqual([seed.generation, seed.disks[0].kind], [1, 'compare']);
  assert.ok(seed.disks[0].writtenBytes <= 128 * KiB, 'what the restore point had is not written twice');
  assert.equal(await difference('replica', 'db-disk1.raw'), null);
  await write(4);
  const { cycles } = (await home.ok(...replicate)).json();
  assert.deepEqual(
    [cycles[0].generation, cycles[0].disks[0].kind, cycles[0].outcome],
    [2, 'delta', 'success'],
  );
  assert.equal(await difference('replica', 'db-disk1.raw'), null);
  assert.deepEqual(await lab.traces(db), { checkpoints: 0, referencePoints: 2 });
  assertFailed(await home.run(...replicate, '--seed', 'existing'), { exit: 2, code: 'REPLICA_BEGUN' });

  await write(5);
  const killed = home.start([...replicate, '--progress', 'json']);
  await killed.said('"onto the target"');
  killed.process.kill('SIGKILL');
  await killed.ended;
  const settled = (await home.ok('replica', 'settle', 'db', '--json')).json();
  assert.deepEqual([settled.phase, settled.generation.number], ['idle', 3]);
  assert.equal(await difference('replica', 'db-disk1.raw'), null);
  const [listed] = (await home.ok('replica', 'list', '--json')).json().replicas;
  assert.deepEqual(listed, settled);
  const shown = (await home.ok('replica', 'show', settled.id.slice(0, 6))).stdout;
  assert.match(shown, /generation 3 as of .*; complete\n {2}disk 1 .*db-disk1\.raw/s);

  await home.ok('replica', 'remove', 'db');
  assert.deepEqual((await home.ok('replica', 'list', '--json')).json().replicas, []);
  assert.deepEqual(await lab.traces(db), { checkpoints: 0, referencePoints: 1 }, 'the mark of the backup');
  assert.ok(await stat(home.path('replica', 'db-disk1.raw')), 'the image stays');
  assertFailed(await home.run('replica', 'show', 'db'), { exit: 2, code: 'REPLICA_UNKNOWN' });
  assertFailed(await home.run(...replicate), { exit: 2, code: 'TARGET_OCCUPIED' });
});

test('through a repository, rolled to earlier restore points while nothing else is asked, and on again; killed in a roll', async () => {
  const via = ['replicate', 'db', '--to', 'dir:./via', '--via', 'main', '--json'];
  const [first] = (await home.ok(...via)).json().cycles;
  assert.equal(await difference('via', 'db-disk1.raw'), null);
  await write(7);
  await write(9);
  const [second] = (await home.ok(...via, '--rate', '100MiB')).json().cycles;
  assert.deepEqual([second.disks[0].kind, second.disks[0].reason], ['delta', 'changes-since-restore-point']);
  assert.equal(await difference('via', 'db-disk1.raw'), null);
  const now = await readFile(home.path('via', 'db-disk1.raw'));
  const places = (await home.ok('points', '--json', '--vm', 'db')).json().points;
  assert.ok(places.some(({ id }: { id: string }) => id === second.point.id));

  const roll = (point: string): string[] => ['replica', 'roll', second.replica, '--point', point, '--json'];
  const rolled = (await home.ok(...roll(first.point.id))).json();
  assert.deepEqual(
    [rolled.generation, rolled.point, rolled.asOf < second.startedAt],
    [3, first.point.id, true],
  );
  assert.ok(rolled.disks[0].readBytes <= 2 * 128 * KiB, `${rolled.disks[0].readBytes} bytes read`);
  const changed = await readFile(home.path('via', 'db-disk1.raw'));
  assert.ok(
    !changed.subarray(7 * 256 * KiB, 8 * 256 * KiB).equals(now.subarray(7 * 256 * KiB, 8 * 256 * KiB)),
  );

  const killed = home.start([...roll(second.point.id), '--progress', 'json']);
  await killed.said('"commit"');
  killed.process.kill('SIGKILL');
  await killed.ended;
  await home.ok('replica', 'settle', second.replica);
  await home.ok(...roll(second.point.id));
  assert.ok((await readFile(home.path('via', 'db-disk1.raw'))).equals(now));
  await write(11);
  const [next] = (await home.ok(...via)).json().cycles;
  assert.equal(next.disks[0].kind, 'delta');
  assert.equal(await difference('via', 'db-disk1.raw'), null);
  assert.deepEqual(
    await lab.traces(db),
    { checkpoints: 0, referencePoints: 1 },
    'one for backup and replica',
  );
  assertFailed(await home.run('replica', 'roll', second.replica, '--generation', '1'), {
    exit: 2,
    code: 'REPLICA_NO_SUCH_GENERATION',
  });
  await home.ok('replica', 'remove', second.replica);
});

test(
  'a target that runs out of room keeps its generation, and goes on when there is some',
  requiresRoot('a real full volume under a replica'),
  async () => {
    await using volume = await mountSmall(home, 'small', 'size=1m');
    const replicate = ['replicate', 'db', '--to', 'dir:./small', '--state', './state', '--json'];
    assertFailed(await home.run(...replicate), { exit: 2, code: 'TARGET_NO_ROOM' });
    assert.deepEqual(await readdir(volume.path), []);
    await volume.remount('size=64m');
    await home.ok(...replicate);
    const used = (await stat(home.path('small', 'db-disk1.raw'))).blocks * 512;
    await volume.remount(`size=${used + 64 * KiB}`);
    await lab.client.guestRun(db, { seed: 2, writes: 60 });
    const full = await home.run(...replicate);
    assertFailed(full, { exit: 2, code: 'DISK_NO_SPACE' });
    const [staged] = (await home.ok('replica', 'list', '--state', './state', '--json')).json().replicas;
    assert.deepEqual([staged.phase, staged.generation.number], ['staged', 2]);
    await volume.remount('size=64m');
    await home.ok('replica', 'settle', 'db', '--state', './state');
    assert.equal(await difference('small', 'db-disk1.raw'), null);
    const next = (await home.ok(...replicate)).json().cycles[0];
    assert.deepEqual([next.generation, next.disks[0].kind], [3, 'delta']);
    await home.ok('replica', 'remove', 'db', '--state', './state');
  },
);

test('--every goes on until Ctrl-C, and then ends at once with what was done', async () => {
  const argv = ['replicate', 'db', '--to', 'dir:./often?format=vhdx', '--every', '1h', '--json'];
  const running = home.start([...argv, '--progress', 'json']);
  await running.said('waiting for the next cycle');
  running.process.kill('SIGINT');
  const run = await running.ended;
  assert.equal(run.code, 130, run.stderr);
  assert.deepEqual(
    run.json().cycles.map(({ generation }: { generation: number }) => generation),
    [1],
  );
  assertFailed(await home.run(...argv.slice(0, -2), '5s'), { exit: 64, code: 'CLI_USAGE' });
});
