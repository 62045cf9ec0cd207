/**
 * The plans of a compare: what is allocated now, and every slot of the base that is allocated no more. A slot without a plan is
 * taken over from the base as it is, so a compare that forgot one would bring back what was deleted.
 */
import type { SlotPlan } from './slot-plan.ts';

/**
 * Merges `plans` with the slots of the base that are not zeros; both ascend. Those that only the base has read nothing: they
 * are zeros now.
 */
export async function* comparePlans(
  plans: AsyncGenerator<SlotPlan>,
  baseSlots: AsyncGenerator<{ readonly slot: number }>,
  lengthOf: (slot: number) => number,
): AsyncGenerator<SlotPlan> {
  try {
    let inBase = await baseSlots.next();
    const gone = (slot: number): SlotPlan => ({ slot, length: lengthOf(slot), dirty: 0, fresh: false });
    for await (const plan of plans) {
      for (; !inBase.done && inBase.value.slot < plan.slot; inBase = await baseSlots.next())
        yield gone(inBase.value.slot);
      if (!inBase.done && inBase.value.slot === plan.slot) inBase = await baseSlots.next();
      yield plan;
    }
    for (; !inBase.done; inBase = await baseSlots.next()) yield gone(inBase.value.slot);
  } finally {
    await baseSlots.return(undefined);
  }
}
