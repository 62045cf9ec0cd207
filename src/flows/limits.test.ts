import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../base/index.ts';
import { TurnedClock } from '../base/turned-clock.fixture.ts';
import type { RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import { ReadLimits } from './limits.ts';
import { isShared, volumeOf } from './volume-of.ts';

/** Files whose reads take as long as `latency` says for their path. */
function filesOf(clock: TurnedClock, latency: (path: string) => number) {
  const counts = { atOnce: new Map<string, number>(), most: new Map<string, number>(), bytes: 0 };
  const open = async (path: string): Promise<RangeReader> => ({
    size: 1024 * MiB,
    async read(_offset, into) {
      const now = (counts.atOnce.get(path) ?? 0) + 1;
      counts.atOnce.set(path, now);
      counts.most.set(path, Math.max(now, counts.most.get(path) ?? 0));
      await clock.sleep(latency(path));
      counts.bytes += into.length;
      counts.atOnce.set(path, counts.atOnce.get(path)! - 1);
    },
    locate: () => ({ path, offset: 0 }) as never,
    async close() {},
  });
  return { counts, files: { open, describe: () => 'files', close: async () => {} } as HostFiles };
}

/** Reads MiB after MiB with `depth` at once until `signal` says stop. */
function readAlong(reader: RangeReader, depth: number, signal: AbortSignal): Promise<unknown> {
  const one = async (): Promise<void> => {
    const into = new Uint8Array(MiB);
    while (!signal.aborted) await reader.read(0, into, { signal });
  };
  return Promise.allSettled(Array.from({ length: depth }, one));
}

test('one rate holds for all readers of all files together', async () => {
  const clock = new TurnedClock();
  const { counts, files } = filesOf(clock, () => 1);
  const limited = new ReadLimits({ bytesPerSecond: 20 * MiB, clock }).over(files);
  const stop = new AbortController();
  const readers = await Promise.all(
    ['C:\\a.vhdx', 'C:\\b.vhdx', 'D:\\c.vhdx'].map((path) => limited.open(path)),
  );
  const all = readers.map((reader) => readAlong(reader, 4, stop.signal));
  await clock.turn(10_000);
  assert.ok(
    counts.bytes >= 199 * MiB && counts.bytes <= 201 * MiB,
    `${counts.bytes / MiB} MiB in ten seconds`,
  );
  stop.abort(new Error('over'));
  await clock.turn(1000);
  await Promise.all(all);
});

test('a slow volume is spared, and the others are read as before', async () => {
  const clock = new TurnedClock();
  const { counts, files } = filesOf(clock, (path) => (path.startsWith('D:') ? 200 : 10));
  const limited = new ReadLimits({ latencyMs: 50, clock }).over(files);
  const stop = new AbortController();
  const readers = await Promise.all(['C:\\a.vhdx', 'D:\\b.vhdx'].map((path) => limited.open(path)));
  const all = readers.map((reader) => readAlong(reader, 16, stop.signal));
  await clock.turn(10_000);
  counts.most.clear();
  await clock.turn(5000);
  assert.deepEqual([counts.most.get('C:\\a.vhdx'), counts.most.get('D:\\b.vhdx')], [16, 1]);
  stop.abort(new Error('over'));
  await clock.turn(5000);
  await Promise.all(all);
});

test('a limited reader does not tell where its bytes lie, so that no thread reads past the limit', async () => {
  const { files } = filesOf(new TurnedClock(), () => 1);
  const reader = await new ReadLimits({ bytesPerSecond: MiB }).over(files).open('C:\\a.vhdx');
  assert.ok(!('locate' in reader));
});

test('the volume of a path: drive, volume of a cluster, share, mount by GUID', () => {
  const cases: [string, string, boolean][] = [
    ['D:\\VMs\\a.vhdx', 'd:', false],
    ['C:\\ClusterStorage\\Volume1\\a\\b.vhdx', 'c:\\clusterstorage\\volume1', true],
    ['\\\\nas\\VMs\\x\\a.vhdx', '\\\\nas\\vms', true],
    ['\\\\?\\UNC\\nas\\vms\\a.vhdx', '\\\\nas\\vms', true],
    ['\\\\?\\D:\\a.vhdx', 'd:', false],
    ['\\\\?\\Volume{AB-1}\\a.vhdx', '\\\\?\\volume{ab-1}', false],
    ['c:/x/y.vhdx', 'c:', false],
  ];
  for (const [path, volume, shared] of cases) {
    assert.equal(volumeOf(path), volume);
    assert.equal(isShared(volumeOf(path)), shared, path);
  }
});
