/** Values between the lab's model and the client's schema, as the wire would have carried them. */
import type { EmbeddedInstance, parseSpec } from '../../src/winrm/index.ts';
import type { LabCimProvider, LabInstance, LabProperty, LabScalar, LabValue } from '../../lab/cim.ts';
import { formatPath, isInstance, isPath } from '../../lab/wire/object-path.ts';

type Spec = ReturnType<typeof parseSpec>;

/** A null array is empty, a moment that never was is null, 64-bit numbers are BigInt. */
export function outputValue(spec: Spec, value: LabValue, provider: LabCimProvider): unknown {
  if (!spec.array) return outputScalar(spec.type, value as LabScalar, provider);
  return ((value ?? []) as readonly LabScalar[]).map((one) => outputScalar(spec.type, one, provider));
}

function outputScalar(type: Spec['type'], value: LabScalar, provider: LabCimProvider): unknown {
  if (value === null) return null;
  if (value instanceof Date) return value.getUTCFullYear() === 1601 ? null : { date: value };
  if (type === 'uint64' || type === 'sint64') return BigInt(value as number | bigint);
  if (type === 'string' && isPath(value)) return formatPath(value, provider);
  return isInstance(value) ? embeddedValue(value, provider) : value;
}

function embeddedValue({ className, properties }: LabInstance, provider: LabCimProvider): EmbeddedInstance {
  const declared = provider.classes.get(className)!.properties;
  const values = Object.entries(properties).map(([name, value]) => {
    const { type, array = false } = declared[name]!;
    return [name, outputValue({ type: type as Spec['type'], array, key: false }, value, provider)];
  });
  return { className, properties: Object.fromEntries(values) as EmbeddedInstance['properties'] };
}

/** What the client hands over, as the model gets it from the wire: empty text in an embedded parameter is null. */
export function inputValue(property: LabProperty, value: unknown): LabValue {
  if (property.type === 'embedded' && value === '') return null;
  if (property.type !== 'embedded') return value as LabValue;
  const { className, properties } = value as EmbeddedInstance;
  return { className, properties: properties as LabInstance['properties'] };
}
