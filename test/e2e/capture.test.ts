/**
 * Capture against the emulated host, over the wire: what is read is laid over a disk in memory and compared, byte for byte,
 * with the truth the lab kept at the moment of the checkpoint.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB, newGuid } from '../../src/base/index.ts';
import { memoryJournal } from '../../src/capture/in-memory-host.fixture.ts';
import type { Baseline, Capture, CaptureRequest } from '../../src/capture/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import type { LabSettings } from '../../lab/model/index.ts';
import { openLabStack, type LabStack } from './lab-stack.fixture.ts';

const DISK_SIZES = [96 * MiB, 33 * MiB];

/** A consumer in memory: one disk a VirtualDiskId, and the baseline of its last run. */
class Replica {
  readonly disks = new Map<string, MemoryDisk>();
  readonly #stack: LabStack;
  readonly #vm: string;
  readonly #journal = memoryJournal();
  #baseline: Baseline | undefined;

  constructor(stack: LabStack, vm: string) {
    this.#stack = stack;
    this.#vm = vm;
  }

  async run(request: Partial<CaptureRequest> = {}): Promise<{ capture: Capture; readBytes: number }> {
    const capture = await this.#stack.source.open({
      vm: this.#vm,
      runId: newGuid(),
      consistency: 'application-preferred',
      baselines: this.#baseline ? [this.#baseline] : [],
      journal: this.#journal,
      ...request,
    });
    let readBytes = 0;
    for (const disk of capture.disks) {
      const copy = this.disks.get(disk.id) ?? new MemoryDisk(disk.size);
      if (disk.kind === 'full') await copy.zero(0, copy.size);
      this.disks.set(disk.id, copy);
      for await (const extent of disk.extents) {
        const bytes = new Uint8Array(extent.length);
        await disk.reader.read(extent.offset, bytes);
        await copy.write(extent.offset, bytes);
        readBytes += extent.length;
      }
    }
    // Written after the checkpoint: must not be in this run, and must be in the next one (I2).
    await this.#stack.lab.guestWrite(this.#vm, { offset: 5 * MiB, length: 64 * KiB, seed: 77 + readBytes });
    const older = this.#baseline;
    this.#baseline = await capture.seal();
    await capture.settled();
    if (older) await capture.retire([older.referencePointId]);
    assert.equal(await capture.confirm({ timeoutMs: 20_000 }), 'merged');
    return { capture, readBytes };
  }

  /** Compares every disk with the lab's truth at the last checkpoint. */
  async assertExact(): Promise<void> {
    const seals = await this.#stack.lab.seals(this.#vm);
    const seal = seals.at(-1)!;
    assert.equal(seal.disks.length, this.disks.size);
    for (const { diskId, size } of seal.disks) {
      const copy = this.disks.get(diskId.toLowerCase());
      assert.ok(copy, `disk ${diskId} was captured`);
      await assertSame(copy, await this.#stack.lab.truthReader(seal.id, diskId), size);
    }
  }
}

async function assertSame(
  copy: MemoryDisk,
  truth: { read(offset: number, into: Uint8Array): Promise<void>; close(): Promise<void> },
  size: number,
): Promise<void> {
  for (let offset = 0; offset < size; offset += MiB) {
    const [a, b] = [
      new Uint8Array(Math.min(MiB, size - offset)),
      new Uint8Array(Math.min(MiB, size - offset)),
    ];
    await copy.read(offset, a);
    await truth.read(offset, b);
    assert.ok(Buffer.from(a).equals(b), `the MiB at ${offset} equals the truth`);
  }
  await truth.close();
}

async function newVm(stack: LabStack): Promise<string> {
  const vm = await stack.lab.createVm({
    name: `web'01 \\ 100%`,
    disks: DISK_SIZES.map((size) => ({ size })),
  });
  await stack.lab.guestRun(vm.id, { seed: 3, writes: 40 });
  return vm.id;
}

const REPORTS: Record<string, LabSettings['changes']> = {
  'plain reports': {},
  'shuffled, overlapping, over-reported ranges beyond the end': {
    order: 'shuffled',
    overlapping: true,
    overReport: 0.5,
    pastEnd: true,
    coalesce: false,
  },
  'three ranges a reply': { rangesMax: 3, coalesce: false, granularityBytes: 4 * KiB },
};

for (const [how, changes] of Object.entries(REPORTS)) {
  test(`a full and three increments are the disks at their checkpoints, byte for byte: ${how}`, async () => {
    await using stack = await openLabStack({ changes: changes ?? {} });
    const vm = await newVm(stack);
    const replica = new Replica(stack, vm);
    const full = await replica.run();
    await replica.assertExact();
    assert.deepEqual(
      full.capture.disks.map((disk) => disk.reason),
      ['first-backup', 'first-backup'],
    );
    for (const seed of [11, 12, 13]) {
      await stack.lab.guestRun(vm, { seed, writes: 20 });
      const { capture, readBytes } = await replica.run();
      assert.ok(capture.disks.every((disk) => disk.kind === 'delta'));
      await replica.assertExact();
      assert.ok(readBytes < full.readBytes, 'an increment reads less than the full');
    }
    assert.equal((await stack.hyperv.referencePoints(vm)).length, 1);
    assert.deepEqual(await stack.hyperv.checkpoints(vm), []);
  });
}

test('a disk that is replaced in its slot is read in full, its neighbour as a delta', async () => {
  await using stack = await openLabStack();
  const vm = await newVm(stack);
  const replica = new Replica(stack, vm);
  await replica.run();
  const second = (await stack.lab.vm(vm)).disks[1]!;
  replica.disks.delete(second.diskId.toLowerCase());
  const replacement = await stack.lab.replaceDisk(vm, second.diskId, { size: DISK_SIZES[1]! });
  await stack.lab.guestWrite(vm, { diskId: replacement.diskId, offset: MiB, length: MiB, seed: 9 });
  const { capture } = await replica.run();
  assert.deepEqual(
    capture.disks.map((disk) => disk.reason),
    ['changes-since-reference-point', 'new-disk'],
  );
  await replica.assertExact();
});

test('an application-consistent capture contains what the guest still had in its cache', async () => {
  await using stack = await openLabStack();
  const vm = await newVm(stack);
  const cached = Buffer.alloc(64 * KiB, 0xab);
  await stack.lab.guestWrite(vm, { offset: 9 * MiB, bytes: cached, cached: true });
  const replica = new Replica(stack, vm);
  const { capture } = await replica.run();
  assert.equal(capture.consistency.reached, 'application');
  await replica.assertExact();
  const into = Buffer.alloc(cached.length);
  await [...replica.disks.values()][0]!.read(9 * MiB, into);
  assert.ok(into.equals(cached));
});

test('a guest without VSS: preferred falls back to crash-consistent and says so', async () => {
  await using stack = await openLabStack();
  const vm = await newVm(stack);
  await stack.lab.setGuest(vm, { vss: 'fails' });
  const replica = new Replica(stack, vm);
  const { capture } = await replica.run();
  assert.equal(capture.consistency.reached, 'crash');
  assert.equal(capture.warnings.length, 1);
  await replica.assertExact();
});
