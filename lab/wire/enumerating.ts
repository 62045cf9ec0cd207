/** Enumerate, Pull and Release: which instances, and how many of them an answer carries. */
import type { LabInstance } from '../cim.ts';
import { Enumerations, type Enumeration } from './enumerations.ts';
import { endpointReferenceXml, instanceXml } from './instance.ts';
import { NS, WQL_DIALECT } from './names.ts';
import type { ProviderView } from './provider-view.ts';
import { runQuery, type QueryResult } from './query.ts';
import type { WireRequest } from './request.ts';
import { SoapFault } from './soap-fault.ts';
import type { WireTraits } from './traits.ts';
import type { XmlElement } from './xml-reader.ts';

/** Room for the rest of an envelope when items are packed into it. */
const ENVELOPE_RESERVE_BYTES = 1024;

export class Enumerating {
  readonly #traits: WireTraits;
  readonly #open: Enumerations;

  constructor(traits: WireTraits) {
    this.#traits = traits;
    this.#open = new Enumerations(traits);
  }

  close(): void {
    this.#open.close();
  }

  async enumerate(request: WireRequest, view: ProviderView): Promise<string> {
    const body = request.body;
    if (!body?.is(NS.enumeration, 'Enumerate'))
      throw new SoapFault('schemaInvalid', 'the body is no Enumerate');
    const result = await selected(request, body, view);
    const items = itemsOf(result, body.child(NS.wsman, 'EnumerationMode')?.text.trim(), view);
    const enumeration = { user: view.caller.user, items, at: 0 };
    const optimized = body.child(NS.wsman, 'OptimizeEnumeration') !== undefined;
    const content = optimized
      ? this.#page(enumeration, maxElements(body, NS.wsman), request, 'w')
      : contextXml(this.#open.keep(enumeration));
    return `<n:EnumerateResponse>${content}</n:EnumerateResponse>`;
  }

  pull(request: WireRequest, { caller }: ProviderView): string {
    const { body, context } = contextOf(request, 'Pull');
    const enumeration = this.#open.take(context, caller.user);
    const page = this.#page(enumeration, maxElements(body, NS.enumeration), request, 'n');
    return `<n:PullResponse>${page}</n:PullResponse>`;
  }

  release(request: WireRequest, { caller }: ProviderView): string {
    this.#open.take(contextOf(request, 'Release').context, caller.user);
    return '';
  }

  /**
   * The next items, in the two forms that were recorded: a Pull has `n:Items` and, on the last page, `n:EndOfSequence`
   * and no context; an optimized Enumerate has `w:Items`, `w:EndOfSequence` and an empty context. Without MaxElements
   * a page is one item; with it, as many as the envelope holds.
   */
  #page(enumeration: Enumeration, count: number, request: WireRequest, prefix: 'n' | 'w'): string {
    const { xml, next } = this.#packed(enumeration, Math.min(count, this.#traits.maxElementsCap), request);
    const items = xml === '' ? '' : `<${prefix}:Items>${xml}</${prefix}:Items>`;
    if (next < enumeration.items.length) {
      return contextXml(this.#open.keep({ ...enumeration, at: next })) + items;
    }
    return `${prefix === 'w' ? contextXml('') : ''}${items}<${prefix}:EndOfSequence/>`;
  }

  #packed(enumeration: Enumeration, wanted: number, request: WireRequest): { xml: string; next: number } {
    const room = request.maxEnvelopeBytes - ENVELOPE_RESERVE_BYTES - Buffer.byteLength(request.messageId);
    const parts: string[] = [];
    let bytes = 0;
    let next = enumeration.at;
    for (; next < enumeration.items.length && parts.length < wanted; next += 1) {
      const item = enumeration.items[next]!();
      bytes += Buffer.byteLength(item);
      // A first item that is too large by itself is sent on, and refused as an envelope.
      if (bytes > room && parts.length > 0) break;
      parts.push(item);
    }
    return { xml: parts.join(''), next };
  }
}

/** A WQL filter goes with the resource `*` and with nothing else; a class is enumerated with its subclasses. */
async function selected(request: WireRequest, body: XmlElement, view: ProviderView): Promise<QueryResult> {
  const filter = body.child(NS.wsman, 'Filter') ?? body.child(NS.enumeration, 'Filter');
  const wildcard = view.classNameOf(request.resourceUri) === '*';
  if (filter) {
    if (filter.attribute('Dialect') !== WQL_DIALECT) throw new SoapFault('filterDialect');
    if (!wildcard) throw new SoapFault('filterNeedsWildcard');
    return runQuery(filter.text, view);
  }
  if (wildcard) throw new SoapFault('cannotProcessFilter', 'the class "*" needs a filter');
  const cls = view.classOf(request.resourceUri);
  return { instances: await view.instances(cls.name), only: undefined };
}

function itemsOf(
  { instances, only }: QueryResult,
  mode: string | undefined,
  { provider }: ProviderView,
): (() => string)[] {
  const object = (instance: LabInstance): string => instanceXml(instance, provider, only);
  const reference = (instance: LabInstance): string => endpointReferenceXml(instance, provider);
  if (mode === undefined) return instances.map((instance) => () => object(instance));
  if (mode === 'EnumerateEPR') return instances.map((instance) => () => reference(instance));
  if (mode !== 'EnumerateObjectAndEPR') throw new SoapFault('schemaInvalid', `EnumerationMode ${mode}`);
  return instances.map((instance) => () => `<w:Item>${object(instance)}${reference(instance)}</w:Item>`);
}

function contextOf(request: WireRequest, name: string): { body: XmlElement; context: string } {
  const body = request.body;
  const context = body?.child(NS.enumeration, 'EnumerationContext')?.text.trim();
  if (!body?.is(NS.enumeration, name) || context === undefined) {
    throw new SoapFault('schemaInvalid', `the body is no ${name} with a context`);
  }
  return { body, context };
}

function maxElements(body: XmlElement, uri: string): number {
  const text = body.child(uri, 'MaxElements')?.text.trim();
  if (text === undefined) return 1;
  if (!/^\d{1,10}$/.test(text) || Number(text) === 0) throw new SoapFault('schemaInvalid', 'MaxElements');
  return Number(text);
}

function contextXml(context: string): string {
  return `<n:EnumerationContext>${context}</n:EnumerationContext>`;
}
