/**
 * A host that keeps back some of what changed, which only the audit of increments can find.
 *
 * Until it does, increments are wrong where the host lied. What must hold all the same: what was read whole is right; no slot
 * is wrong in as many increments in a row as the audit says it takes at most; the run that finds a lie is right, and marks
 * every increment before it that is wrong in a slot nobody found right since. What a later, reported change undid before the
 * audit came by cannot be known.
 */
import assert from 'node:assert/strict';
import { MiB } from '../../src/base/index.ts';
import type { RangeReader } from '../../src/disk/index.ts';
import { SuspectPoints } from '../../src/flows/index.ts';
import type { PointDisk, RestorePoint } from '../../src/repository/index.ts';
import type { KnownPoint } from './knowledge.ts';
import type { World } from './world.ts';

/** Of each increment of a host that lies. */
export const AUDITED_BYTES = MiB;

interface Compared {
  readonly truth: RangeReader;
  readonly stored: RangeReader;
  readonly isWrong: boolean;
}

/** Which slots are wrong; the same every time the point is looked at. */
export async function noteWrong(known: KnownPoint, disk: PointDisk, compared: Compared): Promise<void> {
  const wrong = compared.isWrong ? await wrongSlots(compared) : [];
  if (disk.kind !== 'delta')
    assert.deepEqual(wrong, [], `I1: ${disk.diskId}, ${disk.reason}, was read whole`);
  const before = known.wrong.get(disk.diskId);
  if (before) assert.deepEqual(wrong, before, `I1: ${disk.diskId} of ${known.id} is not what it was`);
  known.wrong.set(disk.diskId, wrong);
}

async function wrongSlots({ truth, stored }: Compared): Promise<number[]> {
  const wrong: number[] = [];
  for (let slot = 0; slot * MiB < truth.size; slot += 1) {
    const [real, kept] = [truth, stored].map(() => Buffer.alloc(Math.min(MiB, truth.size - slot * MiB)));
    await truth.read(slot * MiB, real!);
    await stored.read(slot * MiB, kept!);
    if (!real!.equals(kept!)) wrong.push(slot);
  }
  return wrong;
}

export async function judgeLies(world: World, fresh: KnownPoint): Promise<void> {
  const line = await lineOf(world, fresh);
  for (const disk of line[0]!.disks) {
    const increments = incrementsOf(line, disk.diskId);
    if (disk.reason === 'audit-mismatch') await checkMarked(world, disk, increments);
    else checkBound(world, disk, increments);
  }
}

/** The point, what it was made over, and so on. */
async function lineOf(world: World, { id }: KnownPoint): Promise<RestorePoint[]> {
  const repository = await world.looker();
  const line = [await repository.point(id)];
  for (let { parent } = line[0]!; parent !== undefined; { parent } = line.at(-1)!)
    line.push(await repository.point(parent));
  return line;
}

/** Of the line, newest first, those that took over what was wrong in the one before: down to the last that was read whole. */
function incrementsOf(line: readonly RestorePoint[], diskId: string): string[] {
  const ids: string[] = [];
  for (const [index, point] of line.entries()) {
    const disk = point.disks.find((each) => each.diskId === diskId);
    if (index > 0 && disk?.kind !== 'delta') break;
    ids.push(point.id);
  }
  return ids;
}

function isWrong(world: World, id: string, disk: PointDisk, slot: number): boolean {
  return world.knowledge.points.get(id)?.wrong.get(disk.diskId)?.includes(slot) ?? false;
}

/** In how many increments in a row, from this one back, the slot is wrong. */
function ageOf(world: World, disk: PointDisk, slot: number, increments: readonly string[]): number {
  const right = increments.findIndex((id) => !isWrong(world, id, disk, slot));
  return right < 0 ? increments.length : right;
}

function checkBound(world: World, disk: PointDisk, increments: readonly string[]): void {
  const bound = Math.ceil(disk.size / AUDITED_BYTES);
  for (const slot of world.knowledge.points.get(increments[0]!)!.wrong.get(disk.diskId) ?? []) {
    const age = ageOf(world, disk, slot, increments);
    assert.ok(age < bound, `slot ${slot} was wrong for ${age} increments, promised were ${bound}`);
  }
}

async function checkMarked(
  world: World,
  disk: PointDisk,
  [, ...increments]: readonly string[],
): Promise<void> {
  const suspects = await suspectsOf(world, disk.diskId);
  const before = world.knowledge.points.get(increments[0] ?? '')?.wrong.get(disk.diskId) ?? [];
  const age = Math.max(0, ...before.map((slot) => ageOf(world, disk, slot, increments)));
  world.tally.count(
    `a lie was found after ${age + 1} of at most ${Math.ceil(disk.size / AUDITED_BYTES)} increments`,
  );
  if (world.lies > 0) world.tally.count(`a lie was found where ${world.lies * 100} % were lies`);
  for (const [index, id] of increments.entries()) {
    const newer = increments.slice(0, index);
    const standing = (world.knowledge.points.get(id)!.wrong.get(disk.diskId) ?? []).filter((slot) =>
      newer.every((each) => isWrong(world, each, disk, slot)),
    );
    assert.ok(
      standing.length === 0 || suspects.has(id),
      `${id} is wrong in slots ${standing.join()} and not marked`,
    );
  }
}

async function suspectsOf(world: World, diskId: string): Promise<Set<string>> {
  const points = (await world.looker()).points({ vmId: world.vmId });
  const marked = new SuspectPoints();
  const suspects = new Set<string>();
  for await (const point of points) if (marked.of(point)?.diskIds.has(diskId)) suspects.add(point.id);
  return suspects;
}

/** When the audit has gone its round and nobody lied meanwhile. A disk that the VM has no more is audited no more. */
export async function checkNothingWrong(world: World): Promise<void> {
  const newest = [...world.knowledge.points.values()].at(-1);
  const attached = new Set((await world.vm()).disks.map(({ diskId }) => diskId.toLowerCase()));
  for (const [diskId, slots] of newest?.wrong ?? [])
    if (attached.has(diskId.toLowerCase()))
      assert.deepEqual(slots, [], `${diskId} is wrong after a whole round of the audit`);
}
