/** `hvlift janitor` as a process: what a killed backup left, with --dry-run, interrupted, and to the end. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../src/base/index.ts';
import { assertFailed, CliHome, LabProcess } from './cli.fixture.ts';

const lab = await LabProcess.start();
const home = await CliHome.open(lab, 'plain');
// The lab last: it keeps no process alive, so nothing may have to be done once it has gone.
after(async () => {
  await home[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});
const { id: web } = await lab.client.createVm({ name: 'web', disks: [{ size: 4 * MiB }] });
await home.ok('backup', 'web');

const QUERY = 'GetVirtualDiskChanges';
const asked = async (): Promise<number> => (await lab.client.wireStats()).requests[QUERY] ?? 0;
const stands = async (): Promise<boolean> => (await lab.client.vm(web)).checkpoints.length > 0;

/** A backup is killed while the host thinks about what changed: its checkpoint stays. Again, should it have been too quick. */
async function killBackup(): Promise<void> {
  do {
    const before = await asked();
    await lab.client.addFault({ method: QUERY, misbehaviour: { kind: 'delay', milliseconds: 2_000 } });
    const run = home.start(['backup', 'web']);
    while (run.process.exitCode === null && (await asked()) === before) await sleep(20);
    run.process.kill('SIGKILL');
    await run.ended;
    await lab.client.clearFaults();
  } while (!(await stands()));
}

test('what a killed backup left: --dry-run names it and leaves it; Ctrl-C in the middle is 130 and leaves the rest; then it goes', async () => {
  await killBackup();
  const dry = await home.ok('janitor', '--dry-run');
  assert.match(dry.stdout, /^web .*1 left-over/m);
  assert.match(dry.stdout, /^1 checkpoint and 0 reference points would be removed; nothing was changed$/m);
  assert.equal((await lab.client.vm(web)).checkpoints.length, 1);

  await lab.client.holdMerges(web, true);
  const run = home.start(['janitor']);
  while (run.process.exitCode === null && (await stands())) await sleep(20);
  run.process.kill('SIGINT'); // it waits for the merge
  assertFailed(await run.ended, { exit: 130, code: 'RUN_CANCELLED' });
  await lab.client.holdMerges(web, false);
  await lab.client.settle();

  const rest = await home.ok('janitor', '--json');
  const [{ found }] = rest.json().vms;
  assert.deepEqual([found.checkpoints, found.merge, found.chainFiles], [[], 'merged', 1]);
  assert.deepEqual(
    found.marks.map(({ owner }: { owner: unknown }) => owner),
    [{ kind: 'repository', name: 'main' }],
  );
  const next = await home.ok('backup', 'web', '--json');
  assert.equal(next.json().runs[0].disks[0].kind, 'delta');
});
