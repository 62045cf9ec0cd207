/**
 * A cutover as its user meets it, to QEMU of this machine: planned, begun, killed, gone on with, taken back, made final. The VM
 * is one of the lab with nothing to start from, so all that is asked of the machine is that it runs.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import { openHypervisor } from '../../src/hypervisors/index.ts';
import { requires } from '../requires.ts';
import { assertFailed, CliHome, LabProcess } from './cli.fixture.ts';

const lab = await LabProcess.start();
const home = await CliHome.open(lab, 'plain');
// The lab last: it keeps no process alive, so nothing may have to be done once it has gone.
after(async () => {
  await home[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

test(
  'planned, killed with the guest down, gone on with, taken back; then made final, and no cycle touches the replica',
  { ...requires(['qemu-system-x86_64'], 'a cutover from the command line to a real QEMU') },
  async () => {
    const { id: db } = await lab.client.createVm({ name: 'db', generation: 1, disks: [{ size: 8 * MiB }] });
    await lab.client.configure({ shutdownMs: 100 });
    await lab.client.guestRun(db, { seed: 1, writes: 10 });
    await home.ok('replicate', 'db', '--to', 'dir:./replica');
    const machines = await openHypervisor(`qemu:${home.path('machines')}`);
    const machine = (): Promise<string> => machines.state(db.toLowerCase());
    const source = async (): Promise<string> => (await lab.client.vm(db)).power;
    const to = ['cutover', 'db', '--on', 'qemu:./machines', '--folder', './disks', '--probe-time', '1s'];

    const { plan } = (await home.ok(...to, '--plan', '--json')).json();
    assert.deepEqual([plan.generation, plan.machine.uuid], [1, db.toLowerCase()]);
    assertFailed(await home.run(...to), { exit: 2, code: 'CUTOVER_DECLINED' });
    assert.equal(await source(), 'running');

    const killed = home.start([...to, '--yes', '--progress', 'json']);
    await killed.said('"verifying"');
    killed.process.kill('SIGKILL');
    await killed.ended;
    assert.deepEqual([await source(), await machine()], ['off', 'absent']);
    assertFailed(await home.run('replicate', 'db', '--to', 'dir:./replica'), {
      exit: 75,
      code: 'CUTOVER_OPEN',
    });
    assertFailed(await home.run('replica', 'remove', 'db'), { exit: 75, code: 'CUTOVER_OPEN' });
    assert.equal((await home.ok('cutover', 'db', '--resume', '--json')).json().step, 'healthy');
    assert.deepEqual([await source(), await machine()], ['off', 'running']);

    assertFailed(await home.run('cutover', 'db', '--rollback'), {
      exit: 2,
      code: 'CLI_ROLLBACK_DECLINED',
    });
    assert.deepEqual([await source(), await machine()], ['off', 'running']);
    await home.ok('cutover', 'db', '--rollback', '--yes');
    assert.deepEqual([await source(), await machine()], ['running', 'absent']);
    assert.deepEqual(await readdir(home.path('disks')), []);
    await lab.client.guestRun(db, { seed: 2, writes: 10 });
    const { cycles } = (await home.ok('replicate', 'db', '--to', 'dir:./replica', '--json')).json();
    assert.equal(cycles[0].disks[0].kind, 'delta');

    const record = (await home.ok(...to, '--yes', '--commit', '--json')).json();
    assert.equal(record.step, 'committed');
    assert.ok(record.offSeconds >= 0);
    assert.deepEqual([await source(), await machine()], ['off', 'running']);
    assert.deepEqual(await lab.traces(db), { checkpoints: 0, referencePoints: 0 });
    assertFailed(await home.run('replicate', 'db', '--to', 'dir:./replica'), {
      exit: 2,
      code: 'CUTOVER_COMMITTED',
    });
    assert.match((await home.ok('replica', 'list')).stdout, /cut over/);
    assertFailed(await home.run('failback', 'db', '--to', './back'), {
      exit: 2,
      code: 'CUTOVER_MACHINE_RUNS',
    });
    await machines.powerOff(db.toLowerCase());
    const { disks } = (await home.ok('failback', 'db', '--to', './back', '--json')).json();
    assert.deepEqual([disks.length, disks[0].isNew], [1, true]);
    await machines.undefine(db.toLowerCase());
    await machines.close();
    await home.ok('replica', 'remove', 'db');
    assert.ok((await readdir(home.path('disks'))).length > 0, 'what it wrote outlives the replica');
  },
);
