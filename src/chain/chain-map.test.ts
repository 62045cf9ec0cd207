import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MiB, TiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { ChainDisk, type ChainLayer, type LayerRuns, type MappedRun } from './index.ts';

const UNIT = 64 * MiB;

/** What a file says of each unit: the unit of the file that holds it, zeros, or nothing. */
type Said = number | 'zero' | 'absent';

class ToldLayer implements ChainLayer {
  readonly reader = new MemoryDisk(MiB);
  readonly said: readonly Said[];

  constructor(said: readonly Said[]) {
    this.said = said;
  }

  get size(): number {
    return this.said.length * UNIT;
  }

  absentUntil(offset: number): number {
    const page = Math.floor(offset / (4 * UNIT)) * 4;
    const absent = this.said.slice(page, page + 4).every((each) => each === 'absent');
    return absent ? (page + 4) * UNIT : offset;
  }

  async runs(start: number, end: number, runs: LayerRuns): Promise<void> {
    assert.ok(start < end && end <= this.size);
    for (let at = start; at < end; at += UNIT) {
      const said = this.said[at / UNIT]!;
      if (said === 'zero') runs.addZeros(at, UNIT);
      else if (said === 'absent') runs.addAbsent(at, UNIT);
      else runs.addData(at, UNIT, said * UNIT);
    }
  }
}

class ToldDisk extends ChainDisk {
  readonly logicalSectorSize = 512;
}

/** The map unit by unit, asked in the plainest way. */
function expected(layers: readonly ToldLayer[]): string[] {
  return layers[0]!.said.map((_, unit) => {
    for (const [index, { said }] of layers.entries()) {
      if (unit >= said.length) return 'hole';
      const answer = said[unit]!;
      if (answer === 'absent') continue;
      return answer === 'zero' ? `zero ${index}` : `data ${index} ${answer}`;
    }
    return 'hole';
  });
}

function units(runs: readonly MappedRun[]): string[] {
  return runs.flatMap((run) =>
    Array.from({ length: run.length / UNIT }, (_, i) => {
      if (run.kind === 'hole') return 'hole';
      return run.kind === 'zero' ? `zero ${run.layer}` : `data ${run.layer} ${run.fileOffset / UNIT + i}`;
    }),
  );
}

const said = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom('zero' as const, 'absent' as const));
const chain = fc.array(fc.array(said, { minLength: 1, maxLength: 24 }), { minLength: 1, maxLength: 4 });

test('the map says of each byte what the first file says that says anything, in runs as long as can be', async () => {
  await fc.assert(
    fc.asyncProperty(chain, async (told) => {
      const layers = told.map((each) => new ToldLayer(each));
      const runs = await Array.fromAsync(new ToldDisk(layers).map());
      assert.deepEqual(units(runs), expected(layers));
      let reached = 0;
      for (const [index, run] of runs.entries()) {
        assert.equal(run.offset, reached);
        reached += run.length;
        const next = runs[index + 1];
        if (next) assert.notDeepEqual({ ...run, ...lengthened(run, next) }, next, 'two runs that are one');
      }
    }),
  );
});

/** What the run after `run` would be if it said the same. */
function lengthened(run: MappedRun, next: MappedRun): object {
  const place = run.kind === 'data' ? { fileOffset: run.fileOffset + run.length } : {};
  return { offset: next.offset, length: next.length, ...place };
}

test('the map of one file says what that file holds, and its size is that of the file', async () => {
  const layers = [new ToldLayer([3, 'absent', 'zero']), new ToldLayer(['zero', 7])];
  const disk = new ToldDisk(layers);
  const kinds = async (layer: number): Promise<string[]> => units(await Array.fromAsync(disk.map({ layer })));
  assert.deepEqual(await kinds(0), ['data 0 3', 'hole', 'zero 0']);
  assert.deepEqual(await kinds(1), ['zero 1', 'data 1 7']);
});

test('64 TiB of nothing is one run, and an abort ends the walk', async () => {
  const empty: ChainLayer = {
    reader: new MemoryDisk(MiB),
    size: 64 * TiB,
    absentUntil: (offset) => (offset < 63 * TiB ? 63 * TiB : offset),
    async runs(start, end, runs) {
      runs.addAbsent(start, end - start);
    },
  };
  const disk = new ToldDisk([empty as ToldLayer]);
  assert.deepEqual(await Array.fromAsync(disk.map()), [{ offset: 0, length: 64 * TiB, kind: 'hole' }]);
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(Array.fromAsync(disk.map({ signal })), /stop/);
});
