/** Envelopes of answers and faults, with the namespaces a real host declares on each kind. */
import { randomUUID } from 'node:crypto';
import { ANONYMOUS, NS, classUri } from './names.ts';
import type { ExtendedStatus, SoapFault } from './soap-fault.ts';
import type { WireTraits } from './traits.ts';
import { element, escapeXml, namespaces } from './xml-writer.ts';

const PREFIXES = {
  transfer: {
    s: NS.soap,
    a: NS.addressing,
    x: NS.transfer,
    w: NS.wsman,
    p: NS.microsoft,
  },
  enumeration: { s: NS.soap, a: NS.addressing, n: NS.enumeration, w: NS.wsman },
  invoke: { s: NS.soap, a: NS.addressing, w: NS.wsman, p: NS.microsoft },
  fault: {
    s: NS.soap,
    a: NS.addressing,
    x: NS.transfer,
    e: NS.eventing,
    n: NS.enumeration,
    w: NS.wsman,
    p: NS.microsoft,
  },
} as const;
export type EnvelopeKind = keyof typeof PREFIXES;

export function envelope(
  kind: EnvelopeKind,
  input: { language: string; action: string; relatesTo: string | undefined; body: string },
): string {
  const headers = [
    element('a:Action', {}, escapeXml(input.action)),
    element('a:MessageID', {}, `uuid:${randomUUID().toUpperCase()}`),
    element('a:To', {}, ANONYMOUS),
    input.relatesTo === undefined ? '' : element('a:RelatesTo', {}, escapeXml(input.relatesTo)),
  ];
  const content = element('s:Header', {}, headers.join('')) + element('s:Body', {}, input.body);
  return element('s:Envelope', { 'xml:lang': input.language, ...namespaces(PREFIXES[kind]) }, content);
}

interface FaultContext {
  readonly traits: WireTraits;
  readonly relatesTo: string | undefined;
  /** The address the client asked, in the outer fault; the host's own name stands in the inner one (recorded). */
  readonly addressed: string;
  readonly hostName: string;
}

/** Recorded: three fault actions occur; which one goes by the family of the subcode. */
function faultAction(subcode: string): string {
  if (subcode.startsWith('a:')) return `${NS.addressing}/fault`;
  if (subcode.startsWith('n:')) return `${NS.enumeration}/fault`;
  return 'http://schemas.dmtf.org/wbem/wsman/1/wsman/fault';
}

export function faultEnvelope(fault: SoapFault, context: FaultContext): string {
  const { code, subcode, text } = fault.definition;
  const { language } = context.traits;
  const reason = text[language === 'ja-JP' ? 1 : 0];
  const value = (name: string): string => element('s:Value', {}, name);
  const body = element(
    's:Fault',
    {},
    element('s:Code', {}, value(code) + (subcode === '' ? '' : element('s:Subcode', {}, value(subcode)))) +
      element('s:Reason', {}, element('s:Text', { 'xml:lang': language }, escapeXml(reason))) +
      element('s:Detail', {}, detailOf(fault, reason, context)),
  );
  const { relatesTo } = context;
  return envelope('fault', { language, action: faultAction(subcode), relatesTo, body });
}

function detailOf(fault: SoapFault, reason: string, context: FaultContext): string {
  const { detail, subcode } = fault.definition;
  const wmiError = context.traits.faultDetail === 'MSFT_WmiError' || subcode === 'w:QuotaLimit';
  const uri = `http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/${detail}`;
  const note = `${reason}${noteOf(fault)}`;
  return (
    (detail === undefined ? '' : element('w:FaultDetail', {}, uri)) +
    (wmiError ? wmiErrorDetail(fault, note) : wsmanFaultDetail(fault, note, context))
  );
}

function noteOf(fault: SoapFault): string {
  const colon = fault.message.indexOf(': ');
  return colon < 0 ? '' : fault.message.slice(colon + 2);
}

function wsmanFaultDetail(fault: SoapFault, note: string, context: FaultContext): string {
  const { extendedStatus } = fault;
  const message = extendedStatus
    ? element(
        'f:ProviderFault',
        { provider: 'WMI Provider', path: 'C:\\Windows\\system32\\WsmWmiPl.dll' },
        wsmanFault(fault.definition.number, context.hostName, escapeXml(note)) +
          element('f:ExtendedError', {}, extendedStatusXml(extendedStatus)),
      )
    : escapeXml(note);
  return wsmanFault(fault.definition.number, context.addressed, message);
}

function wsmanFault(number: number, machine: string, message: string): string {
  const attributes = { ...namespaces({ f: NS.fault }), Code: String(number), Machine: machine };
  return element('f:WSManFault', attributes, element('f:Message', {}, message));
}

/** Recorded on 2012 R2: every property carries its type, null or not. */
function extendedStatusXml(status: ExtendedStatus): string {
  const properties = [
    typed('Description', 'cimString', status.description ?? null),
    typed('Operation', 'cimString', status.operation),
    typed('ParameterInfo', 'cimString', status.parameterInfo),
    typed('ProviderName', 'cimString', 'WinMgmt'),
    typed('StatusCode', 'cimUnsignedInt', status.statusCode),
  ];
  const p = `${NS.cimSchema}/__ExtendedStatus`;
  const attributes = {
    ...namespaces({ xsi: NS.xsi, p, cim: NS.cim }),
    'xsi:type': 'p:__ExtendedStatus_Type',
  };
  return element('p:__ExtendedStatus', attributes, properties.join(''));
}

/** The other recorded form: MSFT_WmiError with `error_Code`; CIMStatusCode 27 is "server limits exceeded", 1 a failure. */
function wmiErrorDetail(fault: SoapFault, note: string): string {
  const { number, subcode } = fault.definition;
  const status = fault.extendedStatus?.statusCode ?? number;
  const properties = [
    typed('CIMStatusCode', 'cimUnsignedInt', subcode === 'w:QuotaLimit' ? 27 : 1),
    typed('CIMStatusCodeDescription', 'cimString', null),
    typed('ErrorType', 'cimUnsignedShort', 0),
    typed('Message', 'cimString', note),
    typed('MessageID', 'cimString', `HRESULT 0x${status.toString(16)}`),
    typed('OwningEntity', 'cimString', null),
    typed('PerceivedSeverity', 'cimUnsignedShort', 0),
    typed('ProbableCause', 'cimUnsignedShort', 0),
    typed('error_Category', 'cimUnsignedInt', 30),
    typed('error_Code', 'cimUnsignedInt', number),
    typed('error_Type', 'cimString', 'HRESULT'),
    typed('error_WindowsErrorMessage', 'cimString', note),
  ];
  const p = `${NS.cimSchema}/MSFT_WmiError`;
  const attributes = {
    'b:IsCIM_Error': 'true',
    ...namespaces({ b: NS.cimBinding, cim: NS.cim, p, xsi: NS.xsi }),
    'xsi:type': 'p:MSFT_WmiError_Type',
  };
  return element('p:MSFT_WmiError', attributes, properties.join(''));
}

function typed(name: string, type: string, value: string | number | null): string {
  const xsiType = ` xsi:type="cim:${type}"`;
  if (value === null) return `<p:${name} xsi:nil="true"${xsiType}/>`;
  return `<p:${name}${xsiType}>${escapeXml(String(value))}</p:${name}>`;
}

/** The namespace of instances and method bodies, in one place for both. */
export function bodyNamespaces(namespace: string, className: string): Record<string, string> {
  return namespaces({ xsi: NS.xsi, p: classUri(namespace, className), cim: NS.cim });
}
