/** The operations of the host over WS-Management, each from a checked request to an answer envelope. */
import type { LabCimProvider, LabClass } from '../cim.ts';
import { configXml } from './config.ts';
import { envelope, type EnvelopeKind } from './envelope.ts';
import { Enumerating } from './enumerating.ts';
import { instanceXml } from './instance.ts';
import { invokeXml } from './invoking.ts';
import { ACTION, NS, parseClassUri } from './names.ts';
import { ProviderView, type Caller } from './provider-view.ts';
import type { WireRequest } from './request.ts';
import { SoapFault, notFound } from './soap-fault.ts';
import type { WireTraits } from './traits.ts';

export class Operations {
  readonly #provider: LabCimProvider;
  readonly #traits: WireTraits;
  readonly #enumerating: Enumerating;

  constructor(provider: LabCimProvider, traits: WireTraits) {
    this.#provider = provider;
    this.#traits = traits;
    this.#enumerating = new Enumerating(traits);
  }

  close(): void {
    this.#enumerating.close();
  }

  /** The whole answer envelope. Throws a SoapFault for what becomes one. */
  async answer(request: WireRequest, caller: Caller): Promise<string> {
    const xml = await this.#answer(request, new ProviderView(this.#providerOf(request), caller));
    if (Buffer.byteLength(xml) <= request.maxEnvelopeBytes) return xml;
    const asked = request.maxEnvelopeBytes < this.#traits.maxEnvelopeBytes;
    throw new SoapFault(asked ? 'clientEnvelope' : 'serverEnvelope');
  }

  /** The one that has the namespace asked for; without it the first one, which then says that it has not. */
  #providerOf({ resourceUri }: WireRequest): LabCimProvider {
    const wanted = parseClassUri(resourceUri)?.namespace.toLowerCase();
    const other = this.#provider.others?.find(({ namespace }) => namespace.toLowerCase() === wanted);
    return other ?? this.#provider;
  }

  async #answer(request: WireRequest, view: ProviderView): Promise<string> {
    switch (request.action) {
      case 'Identify':
        return identifyXml();
      case ACTION.get:
        return this.#envelope('transfer', request, await this.#get(request, view));
      case ACTION.enumerate:
        return this.#envelope('enumeration', request, await this.#enumerating.enumerate(request, view));
      case ACTION.pull:
        return this.#envelope('enumeration', request, this.#enumerating.pull(request, view));
      case ACTION.release:
        return this.#envelope('enumeration', request, this.#enumerating.release(request, view));
      default:
        return this.#envelope('invoke', request, await invokeXml(request, view, this.#traits));
    }
  }

  async #get(request: WireRequest, view: ProviderView): Promise<string> {
    if (request.resourceUri.toLowerCase() === NS.config) return configXml(this.#traits);
    const cls = view.classOf(request.resourceUri);
    const instance = await view.find(cls, request.selectors);
    demandAllKeys(cls, request.selectors);
    if (!instance) throw notFound('GetObject', cls.name, request.selectors);
    return instanceXml(instance, view.provider);
  }

  #envelope(kind: EnvelopeKind, request: WireRequest, body: string): string {
    const action = `${request.action}Response`;
    return envelope(kind, { language: this.#traits.language, action, relatesTo: request.messageId, body });
  }
}

/** A Get names every key of the class; less is no object path to WMI. */
function demandAllKeys(cls: LabClass, selectors: ReadonlyMap<string, string>): void {
  const keys = Object.keys(cls.properties).filter((name) => cls.properties[name]!.key);
  if (keys.length > selectors.size) throw new SoapFault('insufficientSelectors', keys.join(', '));
}

/** Identify (DSP0226 11) is answered outside of addressing. */
export function identifyXml(): string {
  return (
    `<s:Envelope xmlns:s="${NS.soap}"><s:Header></s:Header><s:Body>` +
    `<wsmid:IdentifyResponse xmlns:wsmid="${NS.identity}">` +
    `<wsmid:ProtocolVersion>${NS.wsman}</wsmid:ProtocolVersion>` +
    '<wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>' +
    '<wsmid:ProductVersion>OS: 10.0.20348 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>' +
    '</wsmid:IdentifyResponse></s:Body></s:Envelope>'
  );
}
