/** `hvlift serve` as its user meets it: other programs read and write the disks, the restore point stays as it is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, readdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { MiB } from '../../src/base/index.ts';
import { requires } from '../requires.ts';
import { assertFailed, CliHome, LabProcess, type CliRun, type RunningCli } from './cli.fixture.ts';

const exec = promisify(execFile);
const NEEDS = requires(['qemu-img', 'qemu-io', 'nbdcopy'], 'restore points served to other programs');

const lab = await LabProcess.start();
after(() => lab[Symbol.asyncDispose]());
const home = await CliHome.open(lab, 'plain');
after(() => home[Symbol.asyncDispose]());
const { id: db, disks } = await lab.client.createVm({
  name: 'db',
  disks: [
    { name: 'system', size: 20 * MiB },
    { name: 'data 1', size: 9 * MiB },
  ],
});
await lab.client.guestRun(db, { seed: 1, writes: 100 });
await home.ok('backup', 'db');
const [seal] = await lab.client.seals(db);

interface Export {
  readonly number: number;
  readonly address: string;
  readonly overlay?: string;
}

/** Runs `use` while the point is served, then presses Ctrl-C. */
async function served(
  options: readonly string[],
  use: (exports: readonly Export[]) => Promise<void>,
): Promise<CliRun> {
  const run = home.start(['serve', 'latest', '--vm', 'db', '--json', ...options]);
  try {
    await use(await exportsOf(run));
  } finally {
    run.process.kill('SIGINT');
  }
  return run.ended;
}

/** The document, which is printed as soon as clients can come. */
async function exportsOf(run: RunningCli): Promise<readonly Export[]> {
  let text = '';
  for await (const chunk of run.process.stdout!) {
    text += String(chunk);
    try {
      return (JSON.parse(text) as { exports: Export[] }).exports;
    } catch {
      continue; // there is more to come
    }
  }
  throw new Error(`nothing was served: ${(await run.ended).stderr}`);
}

/** The first byte at which the image is not the disk at the checkpoint, or null. */
const difference = (disk: number, path: string): Promise<unknown> =>
  lab.client.compareImage(seal!.id, disks[disk - 1]!.diskId, path);

test('each disk is copied by other programs as it was at the checkpoint', NEEDS, async () => {
  let socket = '';
  const ended = await served([], async (exports) => {
    assert.deepEqual(
      exports.map(({ number }) => number),
      [1, 2],
    );
    socket = new URL(
      exports[0]!.address.replace(/^nbd\+unix/, 'http').replace(':///', '://x/'),
    ).searchParams.get('socket')!;
    for (const { number, address } of exports) {
      const path = home.path(`copied-${number}.raw`);
      await exec('nbdcopy', [address, path]);
      assert.equal(await difference(number, path), null);
    }
    await assert.rejects(
      exec('qemu-io', ['-f', 'raw', '-c', 'write 0 512', exports[0]!.address]),
      'read-only',
    );
  });
  assert.equal(ended.code, 0, ended.stderr);
  await assert.rejects(access(dirname(socket)), { code: 'ENOENT' }, 'the socket is gone with its folder');
});

test(
  'what is written goes to a folder, is there next time, and never in the restore point',
  NEEDS,
  async () => {
    const options = ['--disk', '2', '--write', 'over'];
    const io = (address: string, ...commands: readonly string[]) =>
      exec('qemu-io', ['-f', 'raw', ...commands.flatMap((each) => ['-c', each]), address]);
    await served(options, async ([only]) => {
      assert.equal(only!.overlay, home.path('over', 'data 1'));
      await io(only!.address, 'write -P 7 1M 100k', 'write -z 1M 4k', 'flush');
    });
    await served(options, async ([only]) => {
      await io(only!.address, 'read -P 7 1028k 90k', 'read -P 0 1M 4k');
      const merged = home.path('merged.qcow2');
      await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', only!.address, merged]);
      await exec('qemu-io', ['-c', 'read -P 7 1028k 90k', '-c', 'read -P 0 1M 4k', merged]);
      await exec('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', only!.address, merged]);
    });
    await served(['--disk', '2'], async ([only]) => {
      const path = home.path('after.raw');
      await exec('nbdcopy', [only!.address, path]);
      assert.equal(await difference(2, path), null);
    });
    assert.deepEqual((await readdir(home.path('over', 'data 1'))).sort(), [
      'data-0.bin',
      'overlay.json',
      'states.bin',
    ]);
    await home.ok('verify');
  },
);

test('mistakes are told before anything is served', async () => {
  await writeFile(home.path('not.pem'), 'not a certificate');
  const cases: [readonly string[], { exit: number; code: string }][] = [
    [['--listen', '0.0.0.0:0'], { exit: 2, code: 'FLOW_SERVED_OPENLY' }],
    [['--listen', 'nonsense'], { exit: 64, code: 'CLI_USAGE' }],
    [['--listen', '127.0.0.1:0', '--socket', 'x'], { exit: 64, code: 'CLI_USAGE' }],
    [['--tls-cert', 'not.pem'], { exit: 64, code: 'CLI_USAGE' }],
    [
      ['--tls-cert', 'missing.pem', '--tls-key', 'missing.pem'],
      { exit: 2, code: 'CLI_CERTIFICATE_UNREADABLE' },
    ],
    [['--tls-cert', 'not.pem', '--tls-key', 'not.pem'], { exit: 2, code: 'NBD_CERTIFICATE_UNUSABLE' }],
    [['--socket', 'no/such/folder/x'], { exit: 2, code: 'NBD_LISTEN_FAILED' }],
    [['--disk', '9'], { exit: 2, code: 'FLOW_NO_SUCH_DISK' }],
  ];
  for (const [options, expected] of cases) {
    assertFailed(await home.run('serve', 'latest', '--vm', 'db', '--json', ...options), expected);
  }
});

test('a disk served for one restore point does not go on with what was written over another', async () => {
  await served(['--disk', '1', '--write', 'first'], async () => undefined);
  await home.ok('backup', 'db');
  const run = await home.run('serve', 'latest', '--vm', 'db', '--disk', '1', '--write', 'first', '--json');
  assertFailed(run, { exit: 2, code: 'OVERLAY_OTHER_BASE' });
});
