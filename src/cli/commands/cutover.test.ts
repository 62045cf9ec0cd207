import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { cutoverFaults } from '../../flows/index.ts';
import { CommandLine, Keyboard } from '../command-line.fixture.ts';
import type { CutoverCall } from '../cutover-port.ts';
import { CUT_OVER } from '../fake-engine.fixture.ts';

type Run = Awaited<ReturnType<CommandLine['run']>>;

function callOf(run: Run): CutoverCall {
  return run.calls.find(({ call }) => call === 'cutover')!.request as CutoverCall;
}

test('the plan is shown first, and nothing is done where nobody can agree to it', async () => {
  await using line = await CommandLine.open();
  const run = await line.run(['cutover', 'web01', '--on', 'libvirt:qemu:///system']);
  assert.equal(run.code, 2);
  assert.match(run.stderr, /cutover of web01 .* generation 2, to libvirt at qemu:\/\/\/system/);
  assert.match(run.stderr, /off for about 0:03 \(0:02 to 0:09 by 9 cycles of 1 MiB\)/);
  assert.match(run.stderr, /well again after about 0:16 \(0:14 to 0:30 by/);
  assert.match(run.stderr, /no rehearsal of it was healthy/);
  assert.match(run.stderr, /error CUTOVER_DECLINED/);
});

test('--plan ends with the plan, as lines or as a document', async () => {
  await using line = await CommandLine.open();
  const argv = ['cutover', 'web01', '--on', 'qemu:./machines', '--plan'];
  assert.match((await line.run(argv)).stdout, /^cutover of web01/);
  const run = await line.run([...argv, '--json']);
  assert.deepEqual([run.code, run.json().plan.generation], [0, 2]);
  const { action, wishes } = callOf(run);
  assert.deepEqual([action, wishes!.hypervisor], ['plan', `qemu:${join(line.home, 'machines')}`]);
});

test('--yes goes on; what it took is told', async () => {
  await using line = await CommandLine.open();
  const how = [
    '--delta-target',
    '8MiB',
    '--shutdown-time',
    '90s',
    '--until-serial',
    'ready',
    '--network',
    '*=nat',
  ];
  const run = await line.run([
    'cutover',
    'web01',
    '--on',
    'qemu',
    '--yes',
    '--verify',
    'full',
    '--folder',
    'd',
    ...how,
  ]);
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^web01 runs on .*`hvlift cutover web01 --commit`/);
  assert.match(run.stdout, /last delta: 1 MiB in 1\.5 s, generation 4/);
  assert.match(run.stdout, /start there: 12\.5 s; 2\.5 s of it since it was off/);
  const { wishes, commit, force } = callOf(run);
  assert.deepEqual(
    { ...wishes, commit, force },
    {
      hypervisor: 'qemu',
      folder: join(line.home, 'd'),
      deltaTargetBytes: 8 * 1024 ** 2,
      preCopiesMax: 5,
      shutdownSeconds: 90,
      verify: 'full',
      skipUnprotectable: false,
      conversion: 'compatible',
      machine: { secureBoot: true, networks: { '*': { kind: 'nat' } } },
      probe: { kind: 'serial', text: 'ready' },
      probeSeconds: 600,
      commit: false,
      force: false,
    },
  );
});

test('a port that answers is a sign that it is well: by a name, or an address of either kind', async () => {
  await using line = await CommandLine.open();
  for (const [text, host] of [
    ['web01.example:22', 'web01.example'],
    ['192.0.2.7:22', '192.0.2.7'],
    ['[2001:db8::7]:22', '2001:db8::7'],
  ] as const) {
    const run = await line.run(['cutover', 'web01', '--on', 'qemu', '--yes', '--until-port', text]);
    const { probe, probeSeconds } = callOf(run).wishes!;
    assert.deepEqual([probe, probeSeconds], [{ kind: 'address', host, port: 22 }, 600]);
  }
});

test('one that is there already is gone on with by --resume, by --rollback, and by --commit alone', async () => {
  await using line = await CommandLine.open();
  for (const [argv, action, commit] of [
    [['--resume'], 'resume', false],
    [['--resume', '--commit'], 'resume', true],
    [['--commit'], 'resume', true],
    [['--rollback'], 'rollback', false],
    [['--on', 'qemu', '--yes', '--commit'], 'begin', true],
  ] as const) {
    const call = callOf(await line.run(['cutover', 'web01', ...argv]));
    assert.deepEqual(
      [call.action, call.commit, call.wishes === undefined],
      [action, commit, action !== 'begin'],
    );
  }
});

test('options that contradict each other, and values that are none, are refused', async () => {
  await using line = await CommandLine.open();
  for (const argv of [
    [],
    ['--rollback', '--commit'],
    ['--rollback', '--resume'],
    ['--resume', '--on', 'qemu'],
    ['--rollback', '--plan'],
    ['--on', 'qemu', '--delta-target', 'much'],
    ['--on', 'qemu', '--shutdown-time', '5'],
    ['--on', 'qemu', '--max-precopy', '0'],
    ['--on', 'qemu', '--verify', 'some'],
    ['--on', 'qemu', '--network', 'x'],
    ['--on', 'qemu', '--until-port', '22'],
    ['--on', 'qemu', '--until-port', 'web01:0'],
    ['--on', 'qemu', '--until-port', 'web01:22', '--until-serial', 'x'],
  ])
    assert.equal((await line.run(['cutover', 'web01', ...argv])).code, 64, argv.join(' '));
});

test('one that fails on the way is taken back at once where somebody says so; the error stays', async () => {
  await using line = await CommandLine.open();
  for (const [answer, actions] of [
    ['yes', ['resume', 'rollback']],
    ['no', ['resume']],
  ] as const) {
    const keyboard = new Keyboard();
    keyboard.write(`${answer}\n`);
    const asked: string[] = [];
    const run = await line.run(['cutover', 'web01', '--resume'], {
      stdin: keyboard,
      engine: {
        async cutover({ action }) {
          asked.push(action);
          if (action === 'rollback') return { ...CUT_OVER, step: 'rolled-back' };
          throw cutoverFaults.unhealthy({ vm: 'web01', replica: '00', reason: 'crashed' });
        },
        async showReplica() {
          const cutover = { step: 'probing', startedAt: '', hypervisor: 'qemu' } as const;
          return { id: '00', folder: '/00', disks: [], cutover };
        },
      },
    });
    assert.deepEqual([asked, run.code], [actions, 75], run.stderr);
    assert.match(run.stderr, /the cutover stays at "probing".*Take it back now/s);
    assert.match(run.stderr, /error CUTOVER_UNHEALTHY/);
    assert.equal(/on its host again as it was/.test(run.stderr), answer === 'yes');
  }
});

test('a machine that is well is taken back only where somebody says so, or --yes', async () => {
  await using line = await CommandLine.open();
  for (const [argv, answer, step, isTaken] of [
    [[], 'yes', 'healthy', true],
    [[], 'no', 'healthy', false],
    [['--yes'], '', 'healthy', true],
    [[], '', 'starting', true],
  ] as const) {
    const keyboard = new Keyboard();
    keyboard.write(`${answer}\n`);
    let taken = false;
    const run = await line.run(['cutover', 'web01', '--rollback', ...argv], {
      stdin: keyboard,
      engine: {
        async cutover() {
          taken = true;
          return { ...CUT_OVER, step: 'rolled-back' };
        },
        async showReplica() {
          return { id: '00', folder: '/00', disks: [], cutover: { step, startedAt: '', hypervisor: 'qemu' } };
        },
      },
    });
    assert.equal(taken, isTaken, run.stderr);
    if (!isTaken) assert.match(run.stderr, /CLI_ROLLBACK_DECLINED/);
  }
});

test('a VM that is being cut over is shown as such among the replicas', async () => {
  await using line = await CommandLine.open();
  for (const [step, text] of [
    ['starting', /cutover: starting/],
    ['committed', /cut over/],
    ['rolled-back', /complete/],
  ] as const) {
    const cutover = { step, startedAt: '', hypervisor: 'qemu' };
    const replica = { id: '00', folder: '/00', disks: [], phase: 'idle', target: 'dir:/r', cutover } as const;
    const run = await line.run(['replica', 'list'], { engine: { replicas: async () => [replica] } });
    assert.match(run.stdout, text);
  }
});

test('failback tells what became of each disk, and whether it was there', async () => {
  await using line = await CommandLine.open();
  const run = await line.run(['failback', 'web01', '--to', 'back']);
  assert.equal(run.code, 0, run.stderr);
  const place = join(line.home, 'back');
  assert.match(run.stdout, /^web01: its disks as VHDX/);
  assert.ok(run.stdout.includes(`${place}/web01-disk1.vhdx`));
  assert.match(run.stdout, /was there: 1 MiB differed/);
  const { request } = run.calls.find(({ call }) => call === 'failBack')!;
  assert.equal((request as { to: string }).to, place);
  assert.equal((await line.run(['failback', 'web01'])).code, 64);
});
