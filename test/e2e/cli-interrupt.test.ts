/** Ctrl-C once and twice, SIGTERM and SIGHUP, in the middle of a backup and of a restore: what docs/reference/cli.md promises. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../src/base/index.ts';
import { assertFailed, CliHome, LabProcess, type RunningCli } from './cli.fixture.ts';

const lab = await LabProcess.start();
after(() => lab[Symbol.asyncDispose]());
const home = await CliHome.open(lab, 'plain');
after(() => home[Symbol.asyncDispose]());
// So much that a restore is still writing when it is told to stop.
await writeFile(home.path('disk.raw'), randomBytes(256 * MiB));
const { id: db } = await lab.client.createVm({ name: 'db', disks: [{ fromRaw: home.path('disk.raw') }] });
await home.ok('backup', 'db');

/** The run once the host has heard the call; `jobMs` is how long jobs take meanwhile. */
async function backupUntil(method: string, jobMs: number): Promise<RunningCli> {
  const heard = async (): Promise<number> => (await lab.client.wireStats()).requests[method] ?? 0;
  const before = await heard();
  await lab.client.configure({ job: { newMs: 0, startingMs: 0, runningMs: jobMs } });
  const run = home.start(['backup', 'db']);
  while (run.process.exitCode === null && (await heard()) === before) await sleep(2);
  return run;
}

async function assertNextIsAsIfNothingHadBeen(before: readonly unknown[]): Promise<void> {
  await lab.client.configure({ job: { newMs: 0, startingMs: 0, runningMs: 0 } });
  await lab.client.clearFaults();
  await lab.client.settle();
  assert.deepEqual(await home.points(), before);
  const next = await home.ok('backup', 'db', '--json');
  assert.equal(next.json().runs[0].disks[0].kind, 'delta', 'the baseline is still good');
  assert.deepEqual(await lab.traces(db), { checkpoints: 0, referencePoints: 1 });
}

const INTERRUPTIONS = [
  { signal: 'SIGINT', method: 'GetVirtualDiskChanges' },
  { signal: 'SIGTERM', method: 'CreateSnapshot' },
  { signal: 'SIGHUP', method: 'GetVirtualDiskChanges' },
] as const;

for (const { signal, method } of INTERRUPTIONS) {
  test(`${signal} at ${method}: 130 once the host is clean, and the next backup is as if nothing had been`, async () => {
    const before = await home.points();
    // The host takes its time over the answer, so that the signal comes in the middle.
    if (method === 'GetVirtualDiskChanges') {
      await lab.client.addFault({ method, misbehaviour: { kind: 'delay', milliseconds: 2_000 } });
    }
    const run = await backupUntil(method, 500);
    run.process.kill(signal);
    const ended = await run.ended;
    assertFailed(ended, { exit: 130, code: 'RUN_CANCELLED' });
    assert.match(ended.stderr, /^stopping: removing the recovery checkpoint/m);
    assert.equal((await lab.client.vm(db)).checkpoints.length, 0, 'it was gone when the run ended');
    await assertNextIsAsIfNothingHadBeen(before);
  });
}

test('Ctrl-C twice ends at once and says what may stay; the next backup removes it', async () => {
  const before = await home.points();
  const run = await backupUntil('CreateSnapshot', 3_000);
  run.process.kill('SIGINT');
  await run.said('press Ctrl-C again');
  run.process.kill('SIGINT');
  const { code, stderr } = await run.ended;
  assert.equal(code, 130);
  assert.match(stderr, /^stopped at once: a recovery checkpoint may stay on the host/m);
  await assertNextIsAsIfNothingHadBeen(before);
});

for (const presses of [1, 2]) {
  test(`a restore interrupted ${presses === 1 ? 'once leaves no image' : 'twice leaves only what says it is no image'}`, async () => {
    const folder = `restored-${presses}`;
    const run = home.start(['restore', 'latest', '--vm', 'db', '--to', folder]);
    await run.said('restore disk');
    run.process.kill('SIGINT');
    if (presses === 2) run.process.kill('SIGINT');
    const { code, stderr } = await run.ended;
    assert.equal(code, 130, stderr);
    const files = await readdir(home.path(folder));
    assert.deepEqual(
      files.filter((name) => presses === 1 || !name.endsWith('.partial')),
      [],
    );
  });
}

test('a host that takes the connection and says nothing is left at once', async () => {
  const server = createServer((socket) => void socket.resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connected = new Promise((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  await writeFile(home.path('silent.password'), 'x-password-x', { mode: 0o600 });
  const account = ['--user', 'x', '--password-file', 'silent.password'];
  await home.ok('host', 'add', 'silent', '--url', `http://127.0.0.1:${port}/wsman`, ...account);
  const run = home.start(['vms', '--host', 'silent', '--json']);
  await connected;
  run.process.kill('SIGINT');
  assertFailed(await run.ended, { exit: 130, code: 'RUN_CANCELLED' });
  await new Promise((resolve) => server.close(resolve));
});
