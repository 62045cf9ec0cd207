/** A repository on another machine as its user meets it: made, backed up into, restored from, verified, all by the program. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { MiB } from '../../src/base/index.ts';
import { CliHome, LabProcess, type CliRun, type RunningCli } from '../e2e/cli.fixture.ts';

export interface RemoteRepository extends AsyncDisposable {
  readonly home: CliHome;
  start(...argv: readonly string[]): RunningCli;
  /** A run that must end with 0, on the repository. */
  ok(...argv: readonly string[]): Promise<CliRun>;
  /** New content in the guest, in `writes` places. */
  change(seed: number, writes: number): Promise<void>;
  /** Restores the latest point and compares it with the disks at the last checkpoint. */
  assertRestores(to: string, restore?: (argv: readonly string[]) => Promise<CliRun>): Promise<void>;
}

export interface RemoteRepositoryOptions {
  readonly address: string;
  /** Of the repository in the configuration, beside its path. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly diskBytes: number;
}

/** `config` must do without files of the home, or name them by `home`, which is given before the repository is made. */
export async function openRemoteRepository(
  prepare: (home: CliHome) => Promise<RemoteRepositoryOptions>,
): Promise<RemoteRepository> {
  await using parts = new AsyncDisposableStack();
  const lab = parts.use(await LabProcess.start());
  const home = parts.use(await CliHome.open(lab, 'plain'));
  const { address, config, diskBytes } = await prepare(home);
  await configure(home, { path: address, passphraseFile: '~/passphrase', ...config });
  await home.ok('init', '--repo', 'remote', '--save-recovery-key', 'remote-key');
  const { id, disks } = await lab.client.createVm({
    name: 'db',
    disks: [{ size: diskBytes }, { size: 9 * MiB }],
  });
  const start = (...argv: readonly string[]): RunningCli => home.start(argv, { HVLIFT_REPO: 'remote' });
  const ok = async (...argv: readonly string[]): Promise<CliRun> => {
    const run = await start(...argv).ended;
    assert.equal(run.code, 0, `hvlift ${argv.join(' ')}: ${run.stderr}`);
    return run;
  };
  const owned = parts.move();
  return {
    home,
    start,
    ok,
    change: (seed, writes) => lab.client.guestRun(id, { seed, writes }),
    async assertRestores(to, restore = (argv) => ok(...argv)) {
      const run = await restore(['restore', 'latest', '--vm', 'db', '--to', to, '--format', 'raw', '--json']);
      assert.equal(run.code, 0, run.stderr);
      const seal = (await lab.client.seals(id)).findLast(({ kind }) => kind === 'recovery')!;
      const restored = run.json().disks as { id: string; path: string }[];
      assert.equal(restored.length, disks.length);
      for (const disk of restored) {
        assert.equal(await lab.client.compareImage(seal.id, disk.id, disk.path), null, disk.path);
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The entry `remote` in the configuration of the home. */
async function configure(home: CliHome, entry: Readonly<Record<string, unknown>>): Promise<void> {
  const path = home.path('.config', 'hvlift', 'config.yaml');
  const config = parse(await readFile(path, 'utf8'));
  config.repositories.remote = entry;
  await writeFile(path, stringify(config));
}
