/**
 * What a job made, by Msvm_AffectedJobElement. The rows of all jobs of the host are in one list, and those of ours include
 * the affected VM; only a row with effect 5 (create) names a result. The list is read whole and filtered here, because
 * WQL cannot filter references. Verified against a recorded host for CreateSnapshot; the wanted row came last of four.
 */
import type { CallOptions } from '../disk/index.ts';
import type { CimReference } from '../winrm/index.ts';
import { Msvm_AffectedJobElement } from './classes/job.ts';
import type { Host } from './host.ts';

const EFFECT_CREATE = 5;

/** InstanceIDs of the elements of class `className` that `job` created. */
export async function createdBy(
  host: Host,
  job: CimReference,
  className: string,
  options: CallOptions,
): Promise<string[]> {
  const created: string[] = [];
  for await (const row of host.session.enumerate(Msvm_AffectedJobElement, options)) {
    const { AffectedElement: element, AffectingElement: jobOfRow } = row;
    if (!element || !jobOfRow || !sameId(instanceId(jobOfRow), instanceId(job))) continue;
    if (element.className === className && row.ElementEffects.includes(EFFECT_CREATE)) {
      created.push(instanceId(element));
    }
  }
  return created;
}

const instanceId = (reference: CimReference): string => reference.keys['InstanceID'] ?? '';

/** WMI compares keys without regard to case. */
export function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
