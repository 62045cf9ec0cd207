/** What is cut: each scene changes a repository in its own order, and says how what is left of it is judged. */
import assert from 'node:assert/strict';
import { createMemoryStore } from '../objectstore/index.ts';
import { SLOT_BYTES } from './format.ts';
import { createRepository, openKeyring } from './open-repository.ts';
import type { RestorePoint } from './point.ts';
import { Repository } from './repository.ts';
import { draftOf, ingest, partsFor, backUp } from './repository.fixture.ts';
import { diskOf, used, type Play, type PlayOptions } from './crash-play.fixture.ts';
import { judgeHealing, judgeKeys, judgeRepair, judgeWith, type Judge } from './crash-judge.fixture.ts';

export interface Scene {
  readonly options?: PlayOptions;
  /** Calls `play.begin()` where the cuts begin. */
  readonly act: (play: Play) => Promise<void>;
  readonly judge: Judge;
}

export const SCENES: Record<string, Scene> = {
  'a first backup, increments, their baselines and a journal': {
    options: { encrypted: true },
    judge: judgeWith([2]),
    act: backups,
  },
  'backups on a volume without hard links': {
    options: { hardLinks: false },
    judge: judgeWith([2]),
    act: backups,
  },
  'points dropped, collected to the end': {
    judge: judgeWith([1, 2]),
    async act(play) {
      const [first, second] = [await play.full('a', 1), await play.increment('a', 0, 100)];
      await play.full('b', 2);
      const kept = await play.increment('b', 1, 101);
      await play.increment('b', 2, 102);
      await play.increment('a', 3, 103);
      play.begin();
      await play.drop(first, second, kept);
      await play.collect(4);
    },
  },
  'packs that are mostly dead, rewritten': {
    judge: judgeWith([1]),
    async act(play) {
      const first = await play.full('a', 1);
      const second = await play.increment('a', 0, 100, 3);
      await play.full('b', 2);
      await play.increment('b', 0, 110, 3);
      play.begin();
      await play.drop(first);
      assert.ok((await play.collect(2)) > 0, 'something was rewritten');
      await play.drop(second);
      await play.increment('a', 0, 120, 3);
      await play.collect(3);
    },
  },
  'backups between the runs of the collector': {
    judge: judgeWith([1]),
    async act(play) {
      const first = await play.full('a', 1);
      await play.increment('a', 0, 100);
      play.begin();
      await play.drop(first);
      await play.collect();
      await play.full('b', 1); // what was condemned just now
      await play.collect();
      await play.increment('a', 1, 104);
      await play.collect(2);
    },
  },
  'a backup that lasts over two runs and uses what they find dead': {
    judge: judgeWith([1, 2]),
    async act(play) {
      const first = await play.full('a', 1);
      await play.full('b', 2);
      play.begin();
      const repository = await play.open();
      await using session = await repository.startSession({ workers: 0 });
      const disk = await diskOf(1);
      await play.drop(first);
      await play.collect();
      const { root } = await ingest(session, { reader: disk, extents: disk.allocated() });
      await play.collect();
      const point = await session.commit(await draftOf(session, [{ root, size: disk.size }], 'c'));
      await play.note('c', disk, point);
      await play.collect(2);
    },
  },
  'a backup that begins when what it needs is condemned, and lasts over the next run': {
    judge: judgeWith([1, 2]),
    async act(play) {
      const first = await play.full('a', 1);
      await play.full('b', 2);
      play.begin();
      await play.drop(first);
      await play.collect();
      const repository = await play.open();
      await using session = await repository.startSession({ workers: 0 });
      const disk = await diskOf(1);
      const { root } = await ingest(session, { reader: disk, extents: disk.allocated() });
      await play.collect();
      const point = await session.commit(await draftOf(session, [{ root, size: disk.size }], 'c'));
      await play.note('c', disk, point);
      await play.collect(2);
    },
  },
  'many small segments, merged and collected': {
    judge: judgeWith([1]),
    async act(play) {
      const points: RestorePoint[] = [await play.full('a', 1)];
      for (let i = 0; i < 22; i += 1) points.push(await play.increment('a', i % 3, 200 + i));
      await play.drop(...points.slice(0, 22));
      await play.collect(); // so that the second run drops packs from the merged segment while what it replaced is there
      play.begin();
      for (let i = 0; i < 3; i += 1) await play.increment('a', i, 300 + i);
      await play.collect(3);
    },
  },
  'three writers, pruning and the collector at once': {
    options: { mixed: 1 },
    judge: judgeWith([1, 2]),
    act: crowd,
  },
  'the same in another order': {
    options: { mixed: 2 },
    judge: judgeWith([1, 2]),
    act: crowd,
  },
  'slots of many pieces, folded': {
    judge: judgeWith([1]),
    async act(play) {
      const points = [await play.full('a', 1)];
      for (let cell = 0; cell < 9; cell += 1) points.push(await play.increment('a', cell, 400 + cell));
      play.foldBytes = 4 * SLOT_BYTES;
      play.begin();
      points.push(await play.increment('a', 9, 410));
      await play.increment('a', 2, 411);
      assert.ok(play.foldedSlots > 0, 'something was folded');
      await play.drop(...points);
      await play.collect(3);
    },
  },
  'the newest point folded without a backup, and built upon': {
    judge: judgeWith([1]),
    async act(play) {
      const points = [await play.full('a', 1)];
      for (let cell = 0; cell < 9; cell += 1) points.push(await play.increment('a', cell, 400 + cell));
      const pointId = points.at(-1)!.id;
      const baseline = {
        pointId,
        vmId: 'a',
        referencePointId: 'r',
        consistency: 'crash',
        disks: [],
      } as const;
      await (await play.open()).recordBaseline(baseline);
      play.begin();
      await play.fold('a');
      assert.ok(play.foldedSlots > 0, 'something was folded');
      await play.increment('a', 2, 411);
      await play.drop(...points);
      await play.collect(2);
    },
  },
  'restore points copied into another repository': {
    judge: judgeWith([5]),
    async act(play) {
      await play.full('b', 5);
      const source = await Repository.open(partsFor(createMemoryStore()));
      const disk = await diskOf(4);
      const points = [(await backUp(source, { reader: disk, extents: disk.allocated() }, 'a')).point];
      play.contents.set(points[0]!.id, await used(disk));
      for (const cell of [0, 16]) {
        await disk.write(cell * 65_536, Buffer.alloc(65_536, cell + 1));
        const part = { reader: disk, extents: [{ offset: cell * 65_536, length: 65_536 }] };
        const { point } = await backUp(source, { ...part, base: points.at(-1)!.disks[0]!.root }, 'a');
        points.push(point);
        play.contents.set(point.id, await used(disk));
      }
      play.begin();
      await Array.fromAsync((await play.open()).copyPoints(source, points));
    },
  },
  'damage found, quarantined, healed by backups and collected': {
    judge: judgeHealing([1]),
    async act(play) {
      await play.full('a', 1);
      // Chosen while there is no pack but of this content, which the judge has stored again.
      const pack = await largestPack(play);
      await play.increment('a', 0, 100);
      await play.full('b', 2);
      play.files.damage(pack, (bytes) => bytes.with(180, bytes[180]! ^ 1));
      play.begin();
      await verify(play);
      await play.full('c', 1);
      await verify(play);
      await play.increment('b', 1, 105);
      await play.collect(3);
    },
  },
  'keys added, rotated and removed': { judge: judgeKeys, act: changeKeys },
  'an index made anew, and the pages about it': {
    judge: judgeRepair,
    async act(play) {
      await play.full('a', 1);
      await play.increment('a', 0, 100);
      await play.full('b', 2);
      await (await play.open()).describe();
      for await (const { name, size } of play.store.list('index/'))
        play.files.damage(name, (bytes) => bytes.with(size - 200, bytes[size - 200]! ^ 1).with(70, 1));
      play.files.damage('about/repository.md', (bytes) => bytes.with(3, 0));
      play.begin();
      const repository = await play.open();
      await repository.rebuildIndex();
      await repository.outdatedAbout(true);
      await play.increment('b', 1, 106);
      await play.collect(2);
    },
  },
};

async function backups(play: Play): Promise<void> {
  play.begin();
  await play.full('a', 1);
  const repository = await play.open();
  await repository.journal.record('a', { key: 'conversion', value: { step: 'something' } });
  for (const seed of [100, 101, 102]) {
    const { id: pointId } = await play.increment('a', seed % 3, seed);
    const older = await repository.baselines('a');
    const baseline = { pointId, vmId: 'a', referencePointId: 'r', consistency: 'crash', disks: [] } as const;
    await repository.recordBaseline(baseline);
    for (const each of older) await repository.forgetBaseline(each);
  }
  await play.full('b', 1);
}

/** Collectors give way to each other, and who prunes to who backs up: here one of each at a time. */
async function crowd(play: Play): Promise<void> {
  const old = [await play.full('a', 1), await play.full('b', 2), await play.full('c', 3)];
  for (const vm of ['a', 'b', 'c']) await play.increment(vm, 0, 130);
  play.begin();
  await Promise.all([play.increment('a', 0, 140, 3), play.increment('b', 0, 140), play.full('d', 1)]);
  await Promise.all([play.drop(old[0]!), play.increment('b', 1, 142, 2), play.full('e', 2)]);
  await Promise.all([play.collect(), play.increment('a', 16, 150, 2), play.full('f', 1)]);
  await Promise.all([play.collect(), play.increment('c', 1, 150, 2), play.drop(old[1]!)]);
  await play.collect(3);
}

async function verify(play: Play): Promise<void> {
  await (await play.open()).verify({ workers: 0 });
}

async function largestPack(play: Play): Promise<string> {
  const packs = await Array.fromAsync(play.store.list('packs/'));
  return packs.toSorted((a, b) => b.size - a.size)[0]!.name;
}

async function changeKeys(play: Play): Promise<void> {
  const { recoveryKey: first } = await createRepository(play.store, { encryption: { passphrase: 'slow' } });
  const keyring = await openKeyring(play.store, { recoveryKey: first! });
  play.keys.set(keyring.opened, first!);
  play.begin();
  await keyring.rotate('recovery-key', async ({ slot, recoveryKey }) => {
    play.keys.set(slot, recoveryKey!);
  });
  const second = await keyring.add('recovery-key');
  play.keys.set(second.slot, second.recoveryKey!);
  await keyring.remove(second.slot);
}
