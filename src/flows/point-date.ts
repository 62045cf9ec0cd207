/** The date of a new restore point, when it is not that of the clock: retention goes by it. */
import { warningOf, type Warning } from '../base/index.ts';
import type { RestorePoint } from '../repository/index.ts';
import { flowFaults } from './faults.ts';

/** Beyond what clocks of machines may differ by. */
const BEHIND_MS = 60 * 60_000;

/** Points are never dated before the newest one of their VM, so one far ahead of the clock shows that some clock is or was wrong. */
export function dateWarnings(
  { created, vm }: Pick<RestorePoint, 'created' | 'vm'>,
  nowMs = Date.now(),
): Warning[] {
  if (Date.parse(created) - nowMs < BEHIND_MS) return [];
  const clock = new Date(nowMs).toISOString();
  return [warningOf(flowFaults.clockBehind({ vm: vm.name, created, clock }))];
}
