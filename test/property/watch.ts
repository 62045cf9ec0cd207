/** What must hold at the very moment our run asks the host for something, whatever becomes of the run. */
import type { ScheduledCall } from './schedule.ts';
import type { World } from './world.ts';

export async function watchCall(
  world: World,
  { name }: ScheduledCall,
  input: Readonly<Record<string, unknown>>,
): Promise<void> {
  switch (name) {
    case 'CreateSnapshot':
      world.audit.frozen();
      return checkLocked(world);
    case 'ConvertToReferencePoint':
    case 'DestroySnapshot':
      return world.audit.thawed(name);
    case 'DestroyReferencePoint':
      return checkSuccessor(world, instanceIdOf(input['AffectedReferencePoint']));
    default:
  }
}

function instanceIdOf(reference: unknown): string {
  return (reference as { keys: Record<string, string> }).keys['InstanceID']!;
}

/** One run of a VM at a time: whoever freezes it holds its lock. */
async function checkLocked(world: World): Promise<void> {
  for await (const _ of world.store.list('locks/')) return;
  world.violations.push('a checkpoint was asked for by a run that does not hold the lock of the VM');
}

/** I5: whose restore point is recorded may go only when a newer restore point can be read and its mark stands. */
async function checkSuccessor(world: World, doomed: string): Promise<void> {
  const repository = await world.repository();
  const recorded = await repository.baselines(world.vmId);
  const index = recorded.findIndex((each) => each.referencePointId === doomed);
  if (index < 0) return;
  const { referencePoints } = await world.vm();
  for (const newer of recorded.slice(0, index)) {
    const stands = referencePoints.some(({ id }) => `Microsoft:${id}` === newer.referencePointId);
    const readable = await repository.point(newer.pointId).catch(() => undefined);
    if (stands && readable) return;
  }
  world.violations.push(`I5: ${doomed} was to go while nothing newer was durable`);
}
