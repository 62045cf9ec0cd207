import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import type { DiskChanges } from '../engine.ts';
import { diskChanges } from '../fake-engine.fixture.ts';

const CHANGES = ['rct', 'changes', 'web01', '--since', 'rp-1'];

test('changes show sums to people and byte ranges to programs', async () => {
  await using line = await CommandLine.open();
  const plain = await line.run(CHANGES);
  assert.equal(
    plain.stdout,
    'DISK  VIRTUAL  CHANGED  RANGES  PATH\n1      64 GiB   68 KiB       2  C:\\VMs\\web01.vhdx\n',
  );
  const { extents: _, ...facts } = diskChanges([]);
  const outcome = await line.run([...CHANGES, '--json']);
  assert.deepEqual(outcome.json(), {
    disks: [
      {
        ...facts,
        extents: [
          { offset: 0, length: 65536 },
          { offset: 1024 ** 2, length: 4096 },
        ],
        changedBytes: 69632,
      },
    ],
  });
});

test('no changes are a valid answer', async () => {
  await using line = await CommandLine.open();
  const outcome = await line.run([...CHANGES, '--json'], {
    engine: {
      async *changedBlocks() {
        yield diskChanges([]);
      },
    },
  });
  assert.equal(outcome.code, 0);
  assert.deepEqual(outcome.json().disks[0].extents, []);
});

test('a query that fails among a million ranges leaves a document that parses and says so', async () => {
  await using line = await CommandLine.open();
  async function* failing() {
    for (let i = 0; i < 20_000; i += 1) yield { offset: i * 65536, length: 4096 };
    throw new Error('the host went away');
  }
  const outcome = await line.run([...CHANGES, '--json'], {
    engine: {
      async *changedBlocks(): AsyncGenerator<DiskChanges> {
        yield diskChanges([]);
        yield { ...diskChanges([]), extents: failing() };
      },
    },
  });
  assert.equal(outcome.code, 1);
  assert.equal(outcome.json().disks[1].extents.length, 20_000);
  assert.equal(outcome.json().disks[1].changedBytes, undefined);
  assert.equal(outcome.json().error.message, 'the host went away');
});

test('enable prints the id and the command that uses it, ready to paste', async () => {
  await using line = await CommandLine.open();
  const { stdout } = await line.run(['rct', 'enable', 'web01'], {
    engine: {
      enableRct: async () => ({
        id: `Microsoft:X'Y`,
        vm: { id: '1', name: 'my vm' },
        consistency: 'crash' as const,
        disks: [],
      }),
    },
  });
  assert.match(stdout, /^my vm: reference point Microsoft:X'Y, consistency crash, 0 disks\n/);
  assert.match(stdout, /hvlift rct changes 'my vm' --since 'Microsoft:X'\\''Y'\n$/);
});

test('reset lists what was destroyed', async () => {
  await using line = await CommandLine.open();
  const { code, stdout } = await line.run(['rct', 'reset', 'web01']);
  assert.deepEqual([code, stdout], [0, 'web01: 1 reference point destroyed\n  rp-1\n']);
});

test('a dry run of reset asks for one, and says so', async () => {
  await using line = await CommandLine.open();
  const { stdout, calls } = await line.run(['rct', 'reset', 'web01', '--dry-run']);
  assert.equal(stdout, 'web01: 1 reference point would be destroyed\n  rp-1\n');
  assert.equal((calls[0]!.request as { dryRun: boolean }).dryRun, true);
});
