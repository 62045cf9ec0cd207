import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../base/index.ts';
import { CommandLine, CONFIG } from '../command-line.fixture.ts';
import type { BackupRequest, BackupRun } from '../engine.ts';
import { backupRun, SIZES, WEB01 } from '../fake-engine.fixture.ts';

/** An engine whose backup yields these records. */
function yielding(...records: BackupRun[]) {
  return {
    async *backup() {
      yield* records;
    },
  };
}

const REFUSED = new Fault('VM_GONE', { kind: 'refused', text: 'there is no such VM', remedy: 'look' }, {});
const LATE = new Fault('MERGE_LOST', { kind: 'retry', text: 'the merge was lost', remedy: 'again' }, {});
const MERGE = {
  code: 'CAPTURE_MERGE_RUNS',
  message: 'a merge still runs',
  remedy: 'nothing; look again later',
};

test('a run shows its point, the consistency reached, and six separate figures per disk', async () => {
  await using line = await CommandLine.open();
  const second = { ...backupRun().disks[0]!, number: 2, kind: 'full' as const, reason: 'no baseline' };
  const record = backupRun({ disks: [...backupRun().disks, second] });
  const { code, stdout } = await line.run(['backup', 'web01'], { engine: yielding(record) });
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n'), [
    'web01: restore point a1b2c3d4e5f6 in 0:30, consistency application (asked: application-preferred)',
    '  DISK  KIND   VIRTUAL  ALLOCATED   READ  CHANGED    NEW   STORED  MB/s  WHY',
    '  1     delta   64 GiB     20 GiB  3 GiB    2 GiB  1 GiB  512 MiB   107  changed since point 20261122',
    '  2     full    64 GiB     20 GiB  3 GiB    2 GiB  1 GiB  512 MiB   107  no baseline',
    '  all           64 GiB     20 GiB  3 GiB    2 GiB  1 GiB  512 MiB   107',
    '',
  ]);
});

test('the document holds the whole record of each run, in bytes', async () => {
  await using line = await CommandLine.open();
  const outcome = await line.run(['backup', 'web01', '--json'], { engine: yielding(backupRun()) });
  assert.deepEqual(outcome.json(), { runs: [{ ...backupRun(), exitCode: 0 }] });
  assert.deepEqual(outcome.json().runs[0].sizes, SIZES);
});

test('the exit code is that of the most serious run, and each run has its own in the document', async () => {
  await using line = await CommandLine.open();
  const good = backupRun();
  const warned = backupRun({ warnings: [MERGE] });
  const { pointId: _, ...withoutPoint } = backupRun();
  const refused: BackupRun = { ...withoutPoint, disks: [], error: REFUSED };
  const late = backupRun({ error: LATE });
  const cases: [BackupRun[], number, number[]][] = [
    [[good, good], 0, [0, 0]],
    [[good, warned], 4, [0, 4]],
    [[warned, refused, good], 2, [4, 2, 0]],
    [[late, warned], 75, [75, 4]],
    [[refused, late], 2, [2, 75]],
  ];
  for (const [records, expected, each] of cases) {
    const outcome = await line.run(['backup', 'a', 'b', '--json'], { engine: yielding(...records) });
    assert.equal(outcome.code, expected);
    assert.deepEqual(
      outcome.json().runs.map((run: { exitCode: number }) => run.exitCode),
      each,
    );
  }
});

test('a VM that fails is told with its fault, without a table, and the next one follows', async () => {
  await using line = await CommandLine.open();
  const { pointId: _, ...withoutPoint } = backupRun();
  const failed: BackupRun = { ...withoutPoint, disks: [], error: REFUSED };
  const { code, stdout, stderr } = await line.run(['backup', 'a', 'b'], {
    engine: yielding(failed, backupRun({ vm: { ...WEB01, name: 'web02' } })),
  });
  assert.equal(code, 2);
  assert.match(stdout, /^web01: failed, no restore point was made\nweb02: restore point/);
  assert.match(stderr, /^error VM_GONE: there is no such VM\nlost: nothing\ndo: look$/m);
});

test('a run that committed its data and failed afterwards says both', async () => {
  await using line = await CommandLine.open();
  const { code, stdout, stderr } = await line.run(['backup', 'a'], {
    engine: yielding(backupRun({ error: LATE })),
  });
  assert.equal(code, 75);
  assert.match(stdout, /restore point a1b2c3d4e5f6 .*then an error/);
  assert.match(stderr, /error MERGE_LOST/);
});

test('a merge that still runs is a warning with exit code 4', async () => {
  await using line = await CommandLine.open();
  const { code, stderr } = await line.run(['backup', 'a'], {
    engine: yielding(backupRun({ warnings: [MERGE] })),
  });
  assert.equal(code, 4);
  assert.match(stderr, /^warning CAPTURE_MERGE_RUNS: a merge still runs\ndo: nothing; look again later$/m);
});

test('a consistency lower than asked is shown with its reason', async () => {
  await using line = await CommandLine.open();
  const consistency = {
    asked: 'application-preferred',
    reached: 'crash',
    reason: 'no VSS in the guest',
  } as const;
  const { stdout } = await line.run(['backup', 'a'], { engine: yielding(backupRun({ consistency })) });
  assert.match(stdout, /consistency crash \(asked: application-preferred; no VSS in the guest\)/);
});

test('the request says what was asked: options, then the defaults of the configuration', async () => {
  await using line = await CommandLine.open();
  const config = `${CONFIG}defaults: { consistency: crash }\n`;
  const request = async (argv: string[], text = config): Promise<BackupRequest> => {
    const { calls } = await line.run(['backup', ...argv], { config: text });
    return calls[0]!.request as BackupRequest;
  };
  const plain = await request(['web01', 'web02']);
  assert.deepEqual([plain.vms, plain.full, plain.consistency], [['web01', 'web02'], false, 'crash']);
  assert.equal(plain.host.url, 'http://hv1.example.com:5985/wsman');
  assert.equal((await request(['a'], CONFIG)).consistency, 'application-preferred');
  const options = ['a', '--full', '--consistency', 'application-required', '--host', 'hv1', '-r', 'main'];
  const asked = await request(options);
  assert.deepEqual([asked.full, asked.consistency], [true, 'application-required']);
});

test('several hosts or repositories and none named: nothing is guessed', async () => {
  await using line = await CommandLine.open();
  const config = `hosts: {a: {url: http://a, user: u}, b: {url: http://b, user: u}}\nrepositories: {c: {path: c}}\n`;
  const refused = await line.run(['backup', 'x'], { config });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /error CLI_NO_HOST:.*\n.*\ndo: .*known hosts: a, b/);
  const chosen = await line.run(['backup', 'x'], {
    config,
    env: { HVLIFT_HOST: 'b', HVLIFT_PASSPHRASE: 'p' },
  });
  assert.equal((chosen.calls[0]!.request as BackupRequest).host.name, 'b');
  const unknown = await line.run(['backup', 'x', '--host', 'a', '--repo', 'cc'], { config });
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /error CLI_REPOSITORY_UNKNOWN.*\n.*\ndo: write a folder as \.\/cc/);
});
