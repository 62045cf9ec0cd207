/**
 * Which VMs are meant. A text names VMs in one of these ways, the first that finds any counts:
 *
 *   6b1f3f0e-…       the GUID
 *   sql01            the name, as it is written; else the name in other letters
 *   sql* web0?       a pattern: * is any text, ? any one letter, without regard to case
 *   #daily           a tag: the notes of the VM hold the word #hvlift:daily
 *
 * A tag lies with the VM, so that whoever makes a VM on the host decides how it is backed up, and no list here gets old.
 */
import { isFault, normaliseGuid, type Fault } from '../base/index.ts';
import { chooseVm, type Vm } from '../hyperv/index.ts';
import { flowFaults } from './faults.ts';

export interface VmSelection {
  readonly vms: readonly string[];
  /** Every VM the account may see. */
  readonly all?: boolean;
  readonly except?: readonly string[];
}

export interface SelectedVms {
  /** Each once, in the order of the texts; of one text, by name. */
  readonly selected: readonly Vm[];
  /** Texts that name nothing, or a name that several VMs have: what would be missing from a backup that goes on without. */
  readonly missing: readonly { readonly text: string; readonly fault: Fault }[];
}

const TAG = /#hvlift:([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)/gi;

/** Throws `FLOW_NO_VM_LEFT`, and what is wrong with `except`: a VM that was to be left out must not be backed up for a slip of the pen. */
export function selectVms(vms: readonly Vm[], { vms: texts, all, except = [] }: VmSelection): SelectedVms {
  const left = new Set(except.flatMap((text) => vmsNamed(vms, text)).map((vm) => vm.id));
  const chosen = new Map<string, Vm>(all ? vms.toSorted(byName).map((vm) => [vm.id, vm]) : []);
  const missing: { text: string; fault: Fault }[] = [];
  for (const text of texts) {
    try {
      for (const vm of vmsNamed(vms, text)) chosen.set(vm.id, vm);
    } catch (error) {
      if (!isFault(error)) throw error;
      missing.push({ text, fault: error });
    }
  }
  const selected = [...chosen.values()].filter((vm) => !left.has(vm.id));
  if (selected.length + missing.length === 0) throw flowFaults.noVmLeft({ visible: vms.length });
  return { selected, missing };
}

/** Throws `FLOW_NO_VM_MATCHES`, `HYPERV_VM_NOT_FOUND`, `HYPERV_VM_AMBIGUOUS`. */
function vmsNamed(vms: readonly Vm[], text: string): Vm[] {
  const isPattern = /^#|[*?]/.test(text);
  if (!isPattern || vms.some((vm) => isNamed(vm, text))) return [chooseVm(vms, text)];
  const found = vms.filter((vm) => isMeant(vm, text)).toSorted(byName);
  if (found.length === 0) throw flowFaults.noVmMatches({ text, visible: vms.length });
  return found;
}

/** Whether `text` means this VM; of a name that several VMs have, each. */
export function isMeant(vm: Pick<Vm, 'id' | 'name' | 'notes'>, text: string): boolean {
  if (isNamed(vm, text)) return true;
  if (text.startsWith('#')) return tagsOf(vm.notes).includes(text.slice(1).toLowerCase());
  return /[*?]/.test(text) && matches(text.toLowerCase(), vm.name.toLowerCase());
}

/** The tags in the notes of a VM, in small letters. */
export function tagsOf(notes: readonly string[] | undefined): string[] {
  const found = (notes ?? []).flatMap((note) => [...note.matchAll(TAG)].map((match) => match[1]!));
  return [...new Set(found.map((tag) => tag.toLowerCase()))];
}

function isNamed(vm: Pick<Vm, 'id' | 'name'>, text: string): boolean {
  return vm.id === normaliseGuid(text) || vm.name.toLowerCase() === text.toLowerCase();
}

/** Steps back to the last star only, so that a pattern of many stars costs no more than pattern times name. */
function matches(pattern: string, name: string): boolean {
  let [at, place] = [0, 0];
  let star: { readonly at: number; place: number } | undefined;
  while (place < name.length) {
    if (pattern[at] === '*') star = { at: at++, place };
    else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[place]))
      [at, place] = [at + 1, place + 1];
    else if (star) [at, place] = [star.at + 1, ++star.place];
    else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}

function byName(a: Vm, b: Vm): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
