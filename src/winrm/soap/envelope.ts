/** SOAP envelopes: what we send (MS-WSMV 3.1.4.1, headers a Windows host accepts) and what comes back. */
import { newGuid } from '../../base/index.ts';
import { winrmFaults } from '../faults.ts';
import type { CimReference } from '../schema.ts';
import { encodeSelectors } from '../cim/reference.ts';
import { escapeAttribute, escapeText } from './escape.ts';
import { ANONYMOUS, NS } from './names.ts';
import { childOf, parseXml, type XmlElement } from './xml.ts';

export interface EnvelopeSettings {
  /** The address as the host knows it: `a:To`. */
  readonly to: string;
  readonly language: string;
  readonly maxEnvelopeBytes: number;
  readonly operationTimeoutSeconds: number;
}

export interface SoapRequest {
  readonly action: string;
  readonly resourceUri: string;
  readonly selectors?: CimReference['keys'];
  /** XML; may use the prefixes s, a, w, n, cim, and p for `resourceUri`. */
  readonly body: string;
}

export interface OutgoingEnvelope {
  readonly messageId: string;
  readonly xml: string;
}

export function writeEnvelope(request: SoapRequest, settings: EnvelopeSettings): OutgoingEnvelope {
  const messageId = `uuid:${newGuid().toUpperCase()}`;
  const language = escapeAttribute(settings.language, 'the language');
  const resource = escapeAttribute(request.resourceUri, 'the class');
  const keys = request.selectors ?? {};
  const selectors = Object.keys(keys).length > 0 ? encodeSelectors(keys) : '';
  const xml =
    `<s:Envelope xmlns:s="${NS.soap}" xmlns:a="${NS.addressing}" xmlns:w="${NS.wsman}" xmlns:n="${NS.enumeration}"` +
    ` xmlns:cim="${NS.cim}" xmlns:m="${NS.microsoft}" xmlns:p="${resource}"><s:Header>` +
    `<a:To>${escapeText(settings.to, 'the address')}</a:To>` +
    `<w:ResourceURI s:mustUnderstand="true">${resource}</w:ResourceURI>` +
    `<a:ReplyTo><a:Address s:mustUnderstand="true">${ANONYMOUS}</a:Address></a:ReplyTo>` +
    `<a:Action s:mustUnderstand="true">${escapeText(request.action, 'the method')}</a:Action>` +
    `<w:MaxEnvelopeSize s:mustUnderstand="true">${settings.maxEnvelopeBytes}</w:MaxEnvelopeSize>` +
    `<a:MessageID>${messageId}</a:MessageID>` +
    `<w:Locale xml:lang="${language}" s:mustUnderstand="false"/>` +
    `<m:DataLocale xml:lang="${language}" s:mustUnderstand="false"/>` +
    `<w:OperationTimeout>PT${settings.operationTimeoutSeconds.toFixed(3)}S</w:OperationTimeout>` +
    selectors +
    `</s:Header><s:Body>${request.body}</s:Body></s:Envelope>`;
  return { messageId, xml };
}

/** What the body holds: nothing, or one element. */
export interface SoapReply {
  readonly relatesTo: string | undefined;
  readonly content: XmlElement | undefined;
  /** The `s:Fault`, whatever the action or the HTTP status says. */
  readonly fault: XmlElement | undefined;
}

export function readEnvelope(xml: string): SoapReply {
  const root = parseXml(xml);
  const body = childOf(root, NS.soap, 'Body');
  if (root.uri !== NS.soap || root.name !== 'Envelope' || !body) {
    throw winrmFaults.protocolBroken({ reason: 'it is no SOAP envelope' });
  }
  const header = childOf(root, NS.soap, 'Header');
  const fault = childOf(body, NS.soap, 'Fault');
  return {
    relatesTo: childOf(header, NS.addressing, 'RelatesTo')?.text.trim(),
    content: fault ? undefined : body.children[0],
    fault,
  };
}

/**
 * A reply to something else means the connection is out of step. Some faults carry no RelatesTo (recordings,
 * `wmi_error_v2.xml`); an answer must.
 */
export function checkRelation(reply: SoapReply, messageId: string): void {
  if (reply.relatesTo === undefined && reply.fault) return;
  if (reply.relatesTo?.toLowerCase() !== messageId.toLowerCase()) {
    throw winrmFaults.protocolBroken({ reason: 'it answers another request' });
  }
}
