/** Classes and a host of the tests of this folder. */
import { cimClass, type CimClass, type CimInstance, type MethodOutput } from '../schema.ts';
import type { CimSession } from '../session.ts';
import { NS, resourceUri } from '../soap/names.ts';

const NAMESPACE = 'root/virtualization/v2';

export const Thing = cimClass('Msvm_Thing', {
  properties: {
    InstanceID: 'string key',
    Size: 'uint64',
    States: 'uint16[]',
    Owner: 'ref',
    Since: 'datetime',
  },
  methods: {
    Change: {
      input: { Name: 'string', Target: 'ref', Sizes: 'uint64[]', Settings: 'embedded', Delay: 'datetime' },
      output: { Job: 'ref' },
    },
    Look: { input: {}, output: { Offsets: 'uint64[]' }, repeatable: true },
  },
});

export const THING_URI = resourceUri(NAMESPACE, 'Msvm_Thing');

export function thingXml(id: string, inner = ''): string {
  return `<p:Msvm_Thing xmlns:p="${THING_URI}" xmlns:xsi="${NS.xsi}"><p:InstanceID>${id}</p:InstanceID>${inner}</p:Msvm_Thing>`;
}

export function outputXml(method: string, inner: string): string {
  return `<p:${method}_OUTPUT xmlns:p="${THING_URI}">${inner}</p:${method}_OUTPUT>`;
}

export function pageXml(
  answer: 'EnumerateResponse' | 'PullResponse',
  items: readonly string[],
  context?: string,
): string {
  const inNamespace = answer === 'PullResponse' ? 'n' : 'w';
  const list = items.length === 0 ? '' : `<${inNamespace}:Items>${items.join('')}</${inNamespace}:Items>`;
  const end = context === undefined ? `<${inNamespace}:EndOfSequence/>` : '';
  return `<n:${answer}><n:EnumerationContext>${context ?? ''}</n:EnumerationContext>${list}${end}</n:${answer}>`;
}

export async function allOf<C extends CimClass>(
  instances: AsyncIterable<CimInstance<C>>,
): Promise<CimInstance<C>[]> {
  return await Array.fromAsync(instances);
}

export function change(session: CimSession): Promise<MethodOutput<typeof Thing, 'Change'>> {
  return session.invoke(Thing, { InstanceID: 'a' }, 'Change', { Name: 'x' });
}
