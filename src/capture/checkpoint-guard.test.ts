/** A checkpoint that takes too much room ends its run before a volume is full; one that does not is left in peace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, hasCode, MiB } from '../base/index.ts';
import { hypervFaults, type HostVolume, type HyperV } from '../hyperv/index.ts';
import { guardCheckpoint, type Guarded } from './checkpoint-guard.ts';
import type { WatchOptions } from './source.ts';

const DRIVE = { name: 'C:\\', capacity: 200 * GiB, free: 100 * GiB };

interface Look {
  readonly free?: number;
  /** Of the file the VM writes to since the checkpoint. */
  readonly written?: number;
  readonly fails?: true;
}

/** One look after the other; after the last the run is over. Returns how many there were, and throws what the guard throws. */
async function guarded(looks: readonly Look[], options: Partial<WatchOptions> = {}, volumes = [DRIVE]) {
  const over = new AbortController();
  let looked = -1;
  const now = (): Look => looks[looked]!;
  const hyperv = {
    volumes: async (): Promise<HostVolume[]> => {
      if (now().fails) throw hypervFaults.diskInUse({ path: 'x', code: 1 });
      return volumes.map((volume) => ({ ...volume, free: now().free ?? volume.free }));
    },
    disks: async () =>
      ['C:\\a_1.avhdx', 'C:\\frozen.avhdx', 'C:\\skipped.vhds'].map((path) => ({ kind: 'virtual', path })),
    diskFileBytes: async (path: string) => {
      assert.equal(path, 'C:\\a_1.avhdx', 'frozen files, and those no checkpoint holds, do not count');
      return now().written ?? 0;
    },
  } as unknown as HyperV;
  const clock = {
    now: () => 0,
    sleep: async () => {
      looked += 1;
      if (looked === looks.length) over.abort();
      over.signal.throwIfAborted();
    },
  };
  const what: Guarded = {
    hyperv,
    vm: { id: 'v', name: 'sql01' },
    volumes,
    frozen: new Set(['c:\\frozen.avhdx']),
    clock,
  };
  await guardCheckpoint(what, { signal: over.signal, ...options });
  return looked;
}

const endsWith = (code: string) => (error: unknown) => hasCode(error, code);

test('half of what was free at the start is what a checkpoint may take, unless another budget is set', async () => {
  assert.equal(await guarded([{ written: 50 * GiB }]), 1);
  const tooMuch = [{ written: 50 * GiB + 1 }];
  await assert.rejects(guarded(tooMuch), endsWith('CAPTURE_CHECKPOINT_TOO_LARGE'));
  assert.equal(await guarded(tooMuch, { budget: { percent: 60 } }), 1);
  assert.equal(await guarded(tooMuch, { budget: 'off' }), 1);
  const small = { budget: { bytes: 10 * MiB } };
  await assert.rejects(guarded([{ written: 11 * MiB }], small), endsWith('CAPTURE_CHECKPOINT_TOO_LARGE'));
});

test('a volume below its floor ends the run whatever filled it, and whatever the budget', async () => {
  for (const budget of [undefined, 'off'] as const)
    await assert.rejects(
      guarded([{}, { free: 2 * GiB - 1 }], budget ? { budget } : {}),
      endsWith('CAPTURE_VOLUME_FILLING'),
    );
  assert.equal(await guarded([{ free: 2 * GiB }], { budget: 'off' }), 1);
  const tiny = [{ name: 'C:\\', capacity: 10 * GiB, free: GiB }];
  assert.equal(await guarded([{ free: GiB / 4 }], {}, tiny), 1, 'a fiftieth of a small volume');
});

test('a look that fails ends nothing, and the next one counts', async () => {
  await assert.rejects(
    guarded([{ fails: true }, { fails: true }, { free: 0 }]),
    endsWith('CAPTURE_VOLUME_FILLING'),
  );
});

test('where the host tells nothing of its volumes, nothing is asked, except for a budget in bytes', async () => {
  assert.equal(await guarded([{ written: 90 * GiB }], {}, []), -1);
  await assert.rejects(
    guarded([{ written: 2 * GiB }], { budget: { bytes: GiB } }, []),
    endsWith('CAPTURE_CHECKPOINT_TOO_LARGE'),
  );
});
