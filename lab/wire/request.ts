/** A request envelope, checked and taken apart. */
import { ACTION, NS } from './names.ts';
import { readSelectors } from './parameters.ts';
import { SoapFault } from './soap-fault.ts';
import type { WireTraits } from './traits.ts';
import { XmlError, parseXml, type XmlElement } from './xml-reader.ts';

/** MS-WSMV 3.1.4.1.7: a smaller MaxEnvelopeSize is refused. */
const ENVELOPE_BYTES_MIN = 8192;

export interface WireRequest {
  readonly action: string;
  readonly resourceUri: string;
  readonly selectors: ReadonlyMap<string, string>;
  readonly messageId: string;
  /** The smaller of what the client allows and what the host does. */
  readonly maxEnvelopeBytes: number;
  readonly operationTimeoutMs: number;
  /** The element in the body; absent for Get. */
  readonly body: XmlElement | undefined;
}

/** A fault found before the whole request is known still answers to its MessageID. */
export interface ParsedRequest {
  readonly messageId: string | undefined;
  readonly request: WireRequest | SoapFault;
}

const UNDERSTOOD: Readonly<Record<string, readonly string[]>> = {
  [NS.addressing]: ['To', 'Action', 'ReplyTo', 'FaultTo', 'MessageID'],
  [NS.wsman]: ['ResourceURI', 'SelectorSet', 'OperationTimeout', 'MaxEnvelopeSize', 'Locale', 'OptionSet'],
  [NS.microsoft]: ['DataLocale', 'SessionId', 'OperationID', 'SequenceId'],
};

export function parseRequest(text: string, traits: WireTraits): ParsedRequest {
  let messageId: string | undefined;
  try {
    const envelope = parsedEnvelope(text);
    const header = envelope.child(NS.soap, 'Header');
    messageId = header?.child(NS.addressing, 'MessageID')?.text.trim();
    const body = envelope.child(NS.soap, 'Body');
    if (!body) throw new SoapFault('schemaInvalid', 'no body');
    const [content] = body.children;
    if (content?.is(NS.identity, 'Identify')) return { messageId, request: identify(content, traits) };
    if (!header) throw new SoapFault('headerRequired', 'no header');
    return { messageId, request: requestOf(header, messageId, content, traits) };
  } catch (error) {
    if (error instanceof SoapFault) return { messageId, request: error };
    throw error;
  }
}

function parsedEnvelope(text: string): XmlElement {
  try {
    const root = parseXml(text);
    if (root.is(NS.soap, 'Envelope')) return root;
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    throw new SoapFault('invalidXml', error.message.slice(0, 200));
  }
  throw new SoapFault('schemaInvalid', 'no SOAP 1.2 envelope');
}

/** Identify (DSP0226 11) needs no header. */
function identify(body: XmlElement, traits: WireTraits): WireRequest {
  return {
    action: 'Identify',
    resourceUri: '',
    selectors: new Map(),
    messageId: '',
    maxEnvelopeBytes: traits.maxEnvelopeBytes,
    operationTimeoutMs: traits.operationTimeoutMs,
    body,
  };
}

function requestOf(
  header: XmlElement,
  messageId: string | undefined,
  body: XmlElement | undefined,
  traits: WireTraits,
): WireRequest {
  refuseUnknown(header);
  const text = (uri: string, name: string): string | undefined => header.child(uri, name)?.text.trim();
  const action = text(NS.addressing, 'Action');
  const resourceUri = text(NS.wsman, 'ResourceURI');
  if (!action || !resourceUri || !messageId || !text(NS.addressing, 'To'))
    throw new SoapFault('headerRequired');
  const selectors = header.child(NS.wsman, 'SelectorSet');
  return {
    action,
    resourceUri,
    selectors: selectors ? readSelectors(selectors) : new Map(),
    messageId,
    maxEnvelopeBytes: envelopeLimit(text(NS.wsman, 'MaxEnvelopeSize'), traits),
    operationTimeoutMs: timeout(text(NS.wsman, 'OperationTimeout'), traits),
    body: action === ACTION.get ? undefined : body,
  };
}

function refuseUnknown(header: XmlElement): void {
  const unknown = header.children.find(
    (child) =>
      ['true', '1'].includes(child.attribute('mustUnderstand', NS.soap) ?? '') &&
      !UNDERSTOOD[child.uri]?.includes(child.local),
  );
  if (unknown) throw new SoapFault('mustUnderstand', unknown.local);
}

function envelopeLimit(text: string | undefined, traits: WireTraits): number {
  if (text === undefined) return traits.maxEnvelopeBytes;
  if (!/^\d{1,10}$/.test(text)) throw new SoapFault('invalidHeader', 'MaxEnvelopeSize');
  if (Number(text) < ENVELOPE_BYTES_MIN) throw new SoapFault('minimumEnvelope');
  return Math.min(Number(text), traits.maxEnvelopeBytes);
}

/** `PT60.000S`; longer ones count as the longest allowed, negative ones are refused (recorded for `PT-1S`). */
function timeout(text: string | undefined, traits: WireTraits): number {
  if (text === undefined) return traits.operationTimeoutMs;
  const match = /^P(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$/.exec(text);
  if (!match) throw new SoapFault('invalidHeader', 'OperationTimeout');
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  const milliseconds = (((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!) * 1000;
  return Math.min(milliseconds, traits.operationTimeoutMs);
}
