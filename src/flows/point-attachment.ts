/** Where a disk of a restore point hung on its VM: the point names the slot, and its settings the attachment in that slot. */
import type { CapturedDisk } from '../capture/index.ts';
import type { Controller, VmConfiguration } from '../hyperv/index.ts';
import type { PointDisk } from '../repository/index.ts';

export interface PointAttachment {
  readonly controller: Controller;
  readonly slot: number;
  /** Undefined where the settings are lost, or of a version that does not tell. */
  readonly attachmentId: string | undefined;
}

/** Undefined of a point that does not say. */
export function attachmentOfPoint(
  { attachment }: PointDisk,
  { disks = [] }: Partial<VmConfiguration>,
): PointAttachment | undefined {
  const { controller, controllerNumber, slot } = (attachment ?? {}) as Partial<CapturedDisk['attachment']>;
  if (controller === undefined || controllerNumber === undefined || slot === undefined) return undefined;
  const found = disks.find(
    (each) =>
      each.controller.kind === controller &&
      each.controller.number === controllerNumber &&
      each.slot === slot,
  );
  return {
    controller: { kind: controller, number: controllerNumber },
    slot,
    attachmentId: found?.attachmentId,
  };
}
