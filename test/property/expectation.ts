/** What a run should decide for a disk, told from what the test saw and did; the code under test is not asked. */
import type { PointDisk } from '../../src/repository/index.ts';
import type { Run } from './invariants.ts';
import type { World } from './world.ts';

/** The reasons that hold. More than one where a full is right for two of them, or cautious. */
export function expectedReasons(world: World, { spec, before }: Run, disk: PointDisk): string[] {
  if (spec.full) return ['requested'];
  if (before.recorded.length === 0) return [before.points === 0 ? 'first-backup' : 'no-baseline'];
  if (!before.usable) return ['reference-point-lost'];
  const base = before.usable.disks.find((each) => each.diskId === disk.diskId);
  if (!base) return ['new-disk'];
  const known = world.knowledge.points.get(before.usable.pointId)!;
  const id = disk.diskId.toLowerCase();
  const tracked = world.knowledge.isTracked(known, id);
  if (base.size !== disk.size) return ['size-changed'];
  const now = before.vm.disks.find((each) => each.diskId.toLowerCase() === id)?.files ?? [];
  const reasons: string[] = [];
  if (tracked) reasons.push('changes-since-reference-point');
  if (tracked && world.lied) reasons.push('audit-mismatch');
  else reasons.push('change-query-failed');
  // By the files alone a chain that grew above a user's checkpoint cannot always be told from one that was reverted.
  if (base.chain.length > 1 || now.length > 1) reasons.push('chain-changed');
  if (now.length > 0 && now[0]!.toLowerCase() !== base.chain.at(-1)!.toLowerCase()) return ['chain-changed'];
  return reasons;
}
