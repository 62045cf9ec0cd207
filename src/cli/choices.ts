/**
 * Choices that belong to folders further down, written here again: the commands are put together before anything that does their
 * work is loaded, so that help and a mistyped option come at once. A test compares each list with what it stands for.
 */
import type { CutoverChoices, MachineRequest } from '../flows/index.ts';
import type { Conversion } from '../hypervisors/index.ts';
import type { RetentionRule } from '../repository/index.ts';

export const CONVERSIONS = [
  'none',
  'compatible',
  'virt-v2v-in-place',
] as const satisfies readonly Conversion[];
export const CUTOVER_VERIFIES = [
  'sample',
  'full',
  'none',
] as const satisfies readonly CutoverChoices['verify'][];
export const MACHINE_KINDS = ['qemu', 'libvirt-xml'] as const satisfies readonly MachineRequest['kind'][];
export const RETENTION_RULES = [
  'last',
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
] as const satisfies readonly RetentionRule[];
/** Who logs on where no user is named. */
export const CURRENT_USER = 'the current user';
