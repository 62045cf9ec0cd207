import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults } from '../../base/index.ts';
import { CommandLine } from '../command-line.fixture.ts';
import type { Engine } from '../engine.ts';
import { fakeEngine } from '../fake-engine.fixture.ts';

const callOf = (run: Awaited<ReturnType<CommandLine['run']>>, call: string) =>
  run.calls.find((each) => each.call === call)?.request as Record<string, unknown>;

test('a rehearsal is asked for as it was said, and tells how long each part took', async () => {
  await using line = await CommandLine.open();
  const run = await line.run([
    'rehearse',
    'web01',
    '--until-serial',
    'login:',
    '--time-limit',
    '90s',
    '--on',
    'qemu:here',
    '--generation',
    '4',
  ]);
  assert.equal(run.code, 0, run.stderr);
  const { on, probe, limitSeconds, keep, conversion, generation } = callOf(run, 'rehearse');
  assert.equal(generation, 4);
  assert.match(String(on), /^qemu:\/.+\/here$/);
  assert.deepEqual(
    { probe, limitSeconds, keep, conversion },
    {
      probe: { kind: 'serial', text: 'login:' },
      limitSeconds: 90,
      keep: false,
      conversion: 'compatible',
    },
  );
  assert.match(run.stdout, /web01: generation 2, as of 2026-11-23T08:00:00.000Z, is well\n/);
  assert.match(run.stdout, /clone 0\.1 s, defined and started 1\.0 s, waiting for serial 9\.0 s/);
});

test('without a sign to wait for it has to run for a minute, with one it has ten', async () => {
  await using line = await CommandLine.open();
  const limits: unknown[] = [];
  for (const argv of [[], ['--until-port', 'tcp:22'], ['--until-serial', 'x']])
    limits.push(callOf(await line.run(['rehearse', 'web01', ...argv]), 'rehearse')['limitSeconds']);
  assert.deepEqual(limits, [60, 600, 600]);
});

test('one that is not well ends with exit code 2, in JSON too', async () => {
  await using line = await CommandLine.open();
  const error = faults('TEST', { sick: { kind: 'refused', text: 'no sign', remedy: 'none' } }).sick();
  const sick = fakeEngine({}).engine;
  const rehearse: Engine['rehearse'] = async (call, task) => ({
    ...(await sick.rehearse(call, task)),
    result: 'unhealthy',
    error,
  });
  const run = await line.run(['--json', 'rehearse', 'web01'], { engine: { rehearse } });
  assert.equal(run.code, 2);
  assert.equal(JSON.parse(run.stdout).error.code, 'TEST_SICK');
});

test('a machine that was kept is named, with how it is ended; --end ends it', async () => {
  await using line = await CommandLine.open();
  const kept = await line.run(['rehearse', 'web01', '--keep']);
  assert.match(
    kept.stdout,
    /kept: machine id-of-machine, its files in \/rehearsal; end it with `hvlift rehearse web01 --end`/,
  );
  const ended = await line.run(['rehearse', 'web01', '--end']);
  assert.deepEqual(callOf(ended, 'endRehearsal'), { replica: 'web01' });
  assert.match(ended.stdout, /is removed, and its clone/);
});

test('signs that exclude each other, and what is no port or time, are mistakes', async () => {
  await using line = await CommandLine.open();
  for (const argv of [
    ['--until-serial', 'a', '--until-port', 'tcp:22'],
    ['--until-serial', ''],
    ['--until-port', '22'],
    ['--until-port', 'tcp:0'],
    ['--until-port', 'udp:53'],
    ['--time-limit', '0s'],
    ['--time-limit', '25h'],
    ['--convert', 'v2v'],
    ['--generation', '0'],
  ])
    assert.equal((await line.run(['rehearse', 'web01', ...argv])).code, 64, argv.join(' '));
});
