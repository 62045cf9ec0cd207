import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../base/index.ts';
import { CommandLine, CONFIG } from '../command-line.fixture.ts';
import type { BackupRequest, BackupRun } from '../engine.ts';
import { policyOf } from '../../flows/index.ts';
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
  assert.deepEqual(outcome.json(), { runs: [{ ...backupRun(), outcome: 'success', exitCode: 0 }] });
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

/** What the engine was asked for by a command line. */
async function requestOf(line: CommandLine, argv: string[], config = CONFIG): Promise<BackupRequest> {
  const { calls, stderr } = await line.run(['backup', ...argv], { config });
  assert.equal(calls[0]?.call, 'backup', stderr);
  return calls[0].request as BackupRequest;
}

const ANY_VM = { id: 'x', name: 'web01' };
const SQL = { id: 'y', name: 'sql01', notes: ['#hvlift:gold'] };

test('the request says what was asked: options, then the VMs of the configuration, then its defaults', async () => {
  await using line = await CommandLine.open();
  const config = `${CONFIG}defaults: { consistency: crash }
vms: [{ match: '#gold', consistency: application-required, truncateLogs: true }]
`;
  const plain = await requestOf(line, ['web01', 'web02'], config);
  assert.deepEqual(
    [plain.vms, plain.full, plain.host.url],
    [['web01', 'web02'], false, 'http://hv1.example.com:5985/wsman'],
  );
  assert.deepEqual(policyOf(ANY_VM, plain.policies), { consistency: 'crash', truncateLogs: false });
  assert.deepEqual(policyOf(SQL, plain.policies), {
    consistency: 'application-required',
    truncateLogs: true,
  });
  const preferred = await requestOf(line, ['sql01', '--consistency', 'application-preferred'], config);
  assert.deepEqual(policyOf(SQL, preferred.policies), {
    consistency: 'application-preferred',
    truncateLogs: true,
  });
  const bare = await requestOf(line, ['a', '--truncate-logs', '--full', '--consumer', 'weekly']);
  assert.deepEqual(policyOf(ANY_VM, bare.policies), {
    consistency: 'application-preferred',
    truncateLogs: true,
  });
  assert.deepEqual([bare.full, bare.consumer], [true, 'weekly']);
});

test('--fold takes a size, a percentage of what changed, also more than all of it, or off', async () => {
  await using line = await CommandLine.open();
  assert.equal((await requestOf(line, ['a'])).fold, undefined);
  assert.equal((await requestOf(line, ['a', '--fold', 'off'])).fold, 'off');
  assert.deepEqual((await requestOf(line, ['a', '--fold', '300%'])).fold, { percent: 300 });
  assert.deepEqual((await requestOf(line, ['a', '--fold', '1GiB'])).fold, { bytes: 2 ** 30 });
  for (const wrong of ['0', '0%', '1001%', 'much'])
    assert.equal((await line.run(['backup', 'a', `--fold=${wrong}`])).code, 64, wrong);
});

test('--audit takes a size, a percentage or off, and nothing that would silently audit nothing', async () => {
  await using line = await CommandLine.open();
  assert.equal((await requestOf(line, ['a'])).audit, undefined);
  assert.equal((await requestOf(line, ['a', '--audit', 'off'])).audit, 'off');
  assert.deepEqual((await requestOf(line, ['a', '--audit', '2GiB'])).audit, { bytes: 2 ** 31 });
  assert.deepEqual((await requestOf(line, ['a', '--audit', '0.5%'])).audit, { percent: 0.5 });
  for (const wrong of ['0', '0%', '101%', 'some', '-1'])
    assert.equal((await line.run(['backup', 'a', `--audit=${wrong}`])).code, 64, wrong);
});

test('what was folded is shown where anything was', async () => {
  const [disk] = backupRun().disks;
  const shown = async (folded?: { slots: number; bytes: number }) => {
    const engine = yielding(backupRun({ disks: [{ ...disk!, ...(folded ? { folded } : {}) }] }));
    await using line = await CommandLine.open();
    return (await line.run(['backup', 'web01'], { engine })).stdout;
  };
  assert.match(await shown({ slots: 2, bytes: 2 ** 20 }), /FOLDED[^]* 1 MiB /);
  assert.doesNotMatch(await shown(), /FOLDED/);
});

test('what was audited is shown with its bound, and a mismatch in capitals with its warning and exit code 4', async () => {
  await using line = await CommandLine.open();
  const audit = { readBytes: 0, comparedBytes: 2 ** 26, mismatchBytes: 0, withinRuns: 16, suspectPoints: [] };
  const [disk] = backupRun().disks;
  const good = await line.run(['backup', 'web01'], {
    engine: yielding(backupRun({ disks: [{ ...disk!, audit }] })),
  });
  assert.match(good.stdout, / AUDIT .*\n.* 64 MiB, all in 16 runs /);
  const lied = { ...disk!, kind: 'compare' as const, audit: { ...audit, mismatchBytes: 65_536 } };
  const alarm = { code: 'FLOW_CHANGES_NOT_REPORTED', message: 'ALARM', remedy: 'look' };
  const record = backupRun({ disks: [lied], warnings: [alarm] });
  const { code, stdout, stderr } = await line.run(['backup', 'web01'], { engine: yielding(record) });
  assert.equal(code, 4);
  assert.match(stdout, / 64 KiB DIFFER /);
  assert.match(stderr, /ALARM/);
});

test('VMs are named, found by tag, or all but some; no VM named is a mistake, not all of them', async () => {
  await using line = await CommandLine.open();
  const tagged = await requestOf(line, ['web*', '--tag', 'daily', '--tag', 'gold', '--except', 'web09']);
  assert.deepEqual([tagged.vms, tagged.all, tagged.except], [['web*', '#daily', '#gold'], false, ['web09']]);
  assert.equal((await requestOf(line, ['--all'])).all, true);
  for (const argv of [[], ['web01', '--all'], ['a', '--truncate-logs', '--consistency', 'crash']]) {
    const refused = await line.run(['backup', ...argv]);
    assert.equal(refused.code, 64, refused.stderr);
    assert.deepEqual(refused.calls, []);
  }
});

test('caps, rate and latency come from options, else from the configuration, else are 4, 4, 2 and none', async () => {
  await using line = await CommandLine.open();
  assert.deepEqual((await requestOf(line, ['a'])).limits, { parallel: 4, perHost: 4, perVolume: 2 });
  const config = `${CONFIG}defaults: { parallel: 8, perVolume: 3, rate: 200MiB, maxLatencyMs: 50 }\n`;
  const limits = { parallel: 8, perHost: 4, perVolume: 3, bytesPerSecond: 200 * 1024 ** 2, latencyMs: 50 };
  assert.deepEqual((await requestOf(line, ['a'], config)).limits, limits);
  const options = [
    '--parallel',
    '1',
    '--per-host',
    '2',
    '--per-volume',
    '9',
    '--rate',
    '1GiB',
    '--max-latency',
    '20ms',
  ];
  const asked = { parallel: 1, perHost: 2, perVolume: 9, bytesPerSecond: 1024 ** 3, latencyMs: 20 };
  assert.deepEqual((await requestOf(line, ['a', ...options], config)).limits, asked);
  for (const wrong of [
    ['--parallel', '0'],
    ['--rate', 'fast'],
    ['--max-latency', '0'],
    ['--consumer', 'a b'],
  ])
    assert.equal((await line.run(['backup', 'a', ...wrong])).code, 64, wrong.join(' '));
});

test('several VMs end in a table of all of them, those that need attention first', async () => {
  await using line = await CommandLine.open();
  const { pointId: _, ...withoutPoint } = backupRun();
  const failed: BackupRun = { ...withoutPoint, vm: { ...WEB01, name: 'sql01' }, disks: [], error: REFUSED };
  const { stdout } = await line.run(['backup', '--all'], {
    engine: yielding(backupRun(), failed, backupRun({ vm: { ...WEB01, name: 'web02' }, warnings: [MERGE] })),
  });
  assert.deepEqual(stdout.split('\n').slice(-6), [
    '3 VMs: 1 failed, 1 warning, 1 success',
    '  VM     OUTCOME  POINT         CONSISTENCY   READ   STORED  TIME  WHY',
    '  sql01  failed                              3 GiB  512 MiB  0:30  VM_GONE',
    '  web02  warning  a1b2c3d4e5f6  application  3 GiB  512 MiB  0:30  CAPTURE_MERGE_RUNS',
    '  web01  success  a1b2c3d4e5f6  application  3 GiB  512 MiB  0:30',
    '',
  ]);
});

test('a dry run shows which VMs that would be, and backs up none', async () => {
  await using line = await CommandLine.open();
  const { stdout, calls, code } = await line.run(['backup', 'web01', 'web02', '--dry-run']);
  assert.equal(code, 0);
  assert.deepEqual(
    calls.map(({ call }) => call),
    ['planBackup'],
  );
  assert.match(
    stdout,
    /^2 VMs would be backed up\n {2}VM +HOST +VOLUMES +CONSISTENCY +ID\n {2}web01 +hv1 +c: /,
  );
  const missing = await line.run(['backup', 'gone', '--dry-run', '--json'], {
    engine: {
      async *planBackup() {
        const nothing = { host: '', volumes: [], consistency: 'crash', truncateLogs: false } as const;
        yield { id: '', name: 'gone', ...nothing, error: REFUSED };
      },
    },
  });
  assert.equal(missing.code, 2);
  assert.equal(missing.json().vms[0].error.code, 'VM_GONE');
});

test('a plan of a VM shows each disk with its reason, the room, and everything in the way; what is refused is exit code 2', async () => {
  await using line = await CommandLine.open();
  const disk = {
    attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
    size: 8 * 1024 ** 3,
    files: 1,
  } as const;
  const planned = async (weights: readonly ('refused' | 'warning' | 'note')[], ...argv: string[]) =>
    line.run(['backup', 'web01', '--dry-run', ...argv], {
      engine: {
        async *planBackup() {
          const asked = { consistency: 'crash', truncateLogs: false } as const;
          yield {
            ...WEB01,
            host: 'hv1',
            volumes: ['c:'],
            ...asked,
            plan: {
              consistency: { asked: 'crash', expected: 'crash' },
              disks: [
                {
                  ...disk,
                  number: 1,
                  path: 'C:\\a.vhdx',
                  kind: 'delta',
                  reason: 'changes-since-reference-point',
                },
                { ...disk, number: 2, path: 'C:\\b.vhdx', kind: 'left-out', reason: 'asked' },
              ],
              obstacles: weights.map((weight) => ({
                weight,
                code: 'X_Y',
                message: `it ${weight}`,
                remedy: 'mend it',
              })),
              volumes: [{ name: 'C:\\', capacity: 1024 ** 4, free: 1024 ** 3 }],
            },
          };
        },
      },
    });
  const { code, stdout } = await planned(['refused', 'warning', 'note']);
  assert.equal(code, 2);
  assert.deepEqual(stdout.split('\n'), [
    'web01: consistency crash, expected: crash',
    '  DISK  KIND      WHY                            VIRTUAL  FILES  PATH',
    '  1     delta     changes-since-reference-point    8 GiB      1  C:\\a.vhdx',
    '  2     left-out  asked                            8 GiB      1  C:\\b.vhdx',
    '  volume C:\\ has 1 GiB free',
    ...['refused', 'warning', 'note'].flatMap((weight) => [
      `  ${weight} X_Y: it ${weight}`,
      '    do: mend it',
    ]),
    '0 VMs would be backed up, 1 refused',
    '  VM     HOST  VOLUMES  CONSISTENCY  BACKUP   ID',
    `  web01  hv1   c:       crash        refused  ${WEB01.id}`,
    '',
  ]);
  assert.deepEqual((await planned(['warning', 'note'])).code, 4);
  const fine = await planned(['note'], '--json');
  assert.deepEqual([fine.code, fine.json().vms[0].plan.disks[1].kind], [0, 'left-out']);
});

test('which disks, how deep and how much room: from options to the request', async () => {
  await using line = await CommandLine.open();
  const asked = ['--skip-disk', '2,temp', '--skip-disk', '4', '--only-disk', '1', '--max-chain', '3'];
  const request = await requestOf(line, ['a', ...asked, '--checkpoint-budget', '20GiB']);
  assert.deepEqual(request.disks, { skip: ['2', 'temp', '4'], only: ['1'] });
  assert.deepEqual([request.chainFilesMax, request.checkpointBudget], [3, { bytes: 20 * 1024 ** 3 }]);
  for (const wrong of [
    ['--max-chain', '0'],
    ['--checkpoint-budget', '0'],
    ['--checkpoint-budget', '101%'],
  ])
    assert.equal((await line.run(['backup', 'a', ...wrong])).code, 64, wrong.join(' '));
});

test('the level of a Linux guest and truncated logs are shown', async () => {
  await using line = await CommandLine.open();
  const asked = 'application-preferred';
  const shown = async (consistency: BackupRun['consistency']): Promise<string> =>
    (await line.run(['backup', 'a'], { engine: yielding(backupRun({ consistency })) })).stdout;
  assert.match(
    await shown({ asked, reached: 'file-system' }),
    /consistency file-system \(asked: application-preferred\)$/m,
  );
  assert.match(await shown({ asked, reached: 'application', truncatedLogs: true }), /\), logs truncated$/m);
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
