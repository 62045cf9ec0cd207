/** A host of as many VMs as one likes, made of one that the lab has: each is that VM under another id. */
import type { LabCimProvider, LabInstance, LabValue } from '../../lab/cim.ts';

export function manyVms(provider: LabCimProvider, vmId: string, count: number): LabCimProvider {
  const made = new Map<string, Promise<readonly LabInstance[]>>();
  return {
    namespace: provider.namespace,
    hostName: provider.hostName,
    classes: provider.classes,
    others: provider.others ?? [],
    instances(className, caller) {
      const known = made.get(className);
      if (known) return known;
      const rows = provider
        .instances(className, caller)
        .then((all) => all.flatMap((row) => copiesOf(row, vmId, count)));
      made.set(className, rows);
      return rows;
    },
    invoke: (...call) => provider.invoke(...call),
  };
}

/** What does not speak of the VM stays alone. */
function copiesOf(row: LabInstance, vmId: string, count: number): LabInstance[] {
  const pattern = new RegExp(vmId, 'gi');
  if (!pattern.test(JSON.stringify(row, plain))) return [row];
  return Array.from(
    { length: count },
    (_, index) => renamed(row, pattern, idOf(vmId, index)) as unknown as LabInstance,
  );
}

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

function idOf(vmId: string, index: number): string {
  return vmId.slice(0, -6) + index.toString(16).padStart(6, '0');
}

function renamed(value: LabValue, pattern: RegExp, id: string): LabValue {
  if (typeof value === 'string') {
    return value.replace(pattern, (found) => (found === found.toUpperCase() ? id.toUpperCase() : id));
  }
  if (Array.isArray(value))
    return (value as readonly LabValue[]).map((each) => renamed(each, pattern, id)) as LabValue;
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const entries = Object.entries(value as unknown as Record<string, LabValue>);
  return Object.fromEntries(
    entries.map(([key, each]) => [key, renamed(each, pattern, id)]),
  ) as unknown as LabValue;
}
