import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import { STATUS } from '../fake-engine.fixture.ts';

const CONFIG = 'repositories: { a: { path: /a }, b: { path: /b } }\n';

test('a repository shows its encryption, its VMs and where the next backup starts', async () => {
  await using line = await CommandLine.open();
  const { stdout } = await line.run(['status']);
  assert.equal(
    stdout,
    `main (${line.home}/backups): encrypted with aes-256-gcm, 21 GiB stored, 1 VM, repository 9c1b\n` +
      '  every byte in packs was read since 2026-11-20 08:00:00Z\n' +
      '  VM     POINTS  LATEST                CONSISTENCY  NEXT BACKUP  ID\n' +
      `  web01       2  2026-11-23 08:00:00Z  application  incremental  ${STATUS.vms[0]!.id}\n`,
  );
});

test('a VM shows within how many runs every byte is audited, and how many of its points are suspect', async () => {
  await using line = await CommandLine.open();
  const vm = { ...STATUS.vms[0]!, auditedWithin: 1000, suspectPoints: ['a', 'b'] };
  const engine = { repositoryStatus: async () => ({ ...STATUS, vms: [vm] }) };
  const { stdout } = await line.run(['status'], { engine });
  assert.match(stdout, /AUDITED WITHIN {2}SUSPECT .*\n.* 1000 runs +2 /);
});

test('a repository without encryption says so in capitals', async () => {
  await using line = await CommandLine.open();
  const engine = { repositoryStatus: async () => ({ ...STATUS, encryption: 'none', vms: [] }) };
  assert.match((await line.run(['status'], { engine })).stdout, /: NOT ENCRYPTED, /);
});

test('a repository that cannot be opened does not hide the others', async () => {
  await using line = await CommandLine.open();
  const engine = {
    async repositoryStatus({ name }: { name?: string }) {
      if (name === 'a') throw new Error('not mounted');
      return STATUS;
    },
  };
  const outcome = await line.run(['status', '--json'], { config: CONFIG, engine });
  assert.equal(outcome.code, 1);
  const [a, b] = outcome.json().repositories;
  assert.deepEqual([a.name, a.path, a.error.message], ['a', '/a', 'not mounted']);
  assert.deepEqual([b.name, b.path, b.repositoryId], ['b', '/b', '9c1b']);
  const plain = await line.run(['status'], { config: CONFIG, engine });
  assert.match(plain.stdout, /^a: cannot be shown\nb \(\/b\): encrypted/);
});

test('a repository with a damaged manifest shows the rest, and the damage', async () => {
  await using line = await CommandLine.open();
  const error = new Error('a manifest is damaged');
  const engine = { repositoryStatus: async () => ({ ...STATUS, error }) };
  const plain = await line.run(['status'], { engine });
  assert.equal(plain.code, 1);
  assert.match(plain.stdout, /web01/);
  assert.match(plain.stderr, /a manifest is damaged/);
  const [shown] = (await line.run(['status', '--json'], { engine })).json().repositories;
  assert.deepEqual([shown.repositoryId, shown.error.message], ['9c1b', 'a manifest is damaged']);
});

test('a named repository is shown alone; without any, the user is told how to name one', async () => {
  await using line = await CommandLine.open();
  const one = await line.run(['status', '--repo', 'b', '--json'], {
    config: CONFIG,
    env: { HVLIFT_PASSPHRASE: 'p' },
  });
  assert.deepEqual(
    one.json().repositories.map((repository: { name: string }) => repository.name),
    ['b'],
  );
  const none = await line.run(['status'], { config: '' });
  assert.equal(none.code, 2);
  assert.match(none.stderr, /CLI_NO_REPOSITORY/);
});
