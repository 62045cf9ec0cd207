/**
 * A SOAP fault into a typed one. Decided by numbers only, the innermost first: texts come in the host's language, and the
 * outer code often only says that something inside failed. Where no number is known, by the subcode's name.
 *
 *   s:Detail/f:WSManFault[Code] → f:ProviderFault → f:WSManFault[Code] → f:ExtendedError/__ExtendedStatus/StatusCode
 *   s:Detail/MSFT_WmiError/error_Code
 */
import type { Fault } from '../../base/index.ts';
import { winrmFaults } from '../faults.ts';
import { NS } from './names.ts';
import { childOf, descendants, isNil, type XmlElement } from './xml.ts';

type Meaning = Exclude<keyof typeof winrmFaults, 'closed' | 'effectUnknown' | 'connectionLost'>;

/**
 * Win32 numbers and HRESULTs (0x8007....), WBEM statuses (0x8004...., MS-WMI 2.2.11), WinRM numbers (0x8033....,
 * wsmerror.h).
 */
const CODES: Readonly<Partial<Record<Meaning, readonly number[]>>> = {
  accessDenied: [5, 0x80070005, 0x80041003, 0x80338104, 0x80338105, 0x80338106],
  notFound: [0x80338000, 0x80041002],
  classUnknown: [0x8004100e, 0x80041010],
  timedOut: [0x80338029],
  envelopeTooLarge: [0x80338026, 0x80338047, 0x80338048, 0x80338049],
  quotaExceeded: [
    0x8004106c, 0x8033803f, 0x803381a5, 0x803381a6, 0x803381a7, 0x803381a8, 0x803381ab, 0x803381e4,
    0x803381e5, 0x803381e6, 0x803381e7, 0x803381e8, 0x803381e9, 0x803381ea,
  ],
  badFilter: [0x8033801a, 0x80041017, 0x80041018],
  contextLost: [0x8033801b],
  schemaInvalid: [0x80338041, 0x8033800f],
  selectorsInvalid: [0x8033805b],
  parameterInvalid: [87, 0x80070057, 0x80041008, 0x8004102f, 0x80338103, 0x8033811e],
};
const BY_CODE: ReadonlyMap<number, Meaning> = new Map(
  Object.entries(CODES).flatMap(([meaning, codes]) => codes.map((code) => [code, meaning as Meaning])),
);

/** A Map: looked up in an object, a subcode called `constructor` would mean something. */
const BY_SUBCODE: ReadonlyMap<string, Meaning> = new Map(
  Object.entries<Meaning>({
    AccessDenied: 'accessDenied',
    DestinationUnreachable: 'notFound',
    TimedOut: 'timedOut',
    EncodingLimit: 'envelopeTooLarge',
    QuotaLimit: 'quotaExceeded',
    CannotProcessFilter: 'badFilter',
    FilteringNotSupported: 'badFilter',
    FilterDialectRequestedUnavailable: 'badFilter',
    InvalidEnumerationContext: 'contextLost',
    SchemaValidationError: 'schemaInvalid',
    InvalidMessageInformationHeader: 'schemaInvalid',
    MessageInformationHeaderRequired: 'schemaInvalid',
    InvalidSelectors: 'selectorsInvalid',
    InvalidParameter: 'parameterInvalid',
  }),
);

export interface FaultContext {
  readonly host: string;
  readonly user: string;
  /** What was asked: a class, or `Class.Method`. */
  readonly resource: string;
  readonly seconds: number;
  readonly limitBytes: number;
}

export function faultFrom(fault: XmlElement, context: FaultContext): Fault {
  const codes = codesOf(fault);
  const subcode = subcodeOf(fault);
  const meaning =
    codes.map((code) => BY_CODE.get(code)).find(Boolean) ?? BY_SUBCODE.get(subcode) ?? 'providerFailed';
  return winrmFaults[meaning]({
    ...context,
    code: codes[0] ?? subcode,
    codes: codes.join(' '),
    subcode,
    message: messageOf(fault),
  });
}

/** Every number of the fault as unsigned 32 bits, innermost first. */
function codesOf(fault: XmlElement): number[] {
  return [...descendants(fault)]
    .flatMap((element) => {
      if (element.uri === NS.fault && element.name === 'WSManFault')
        return [element.attributes['Code'] ?? ''];
      const isStatus = element.name === 'StatusCode' || element.name === 'error_Code';
      return isStatus && !isNil(element) ? [element.text] : [];
    })
    .map((text) => text.trim())
    .filter((text) => /^-?\d{1,10}$/.test(text))
    .map((text) => Number(text) >>> 0)
    .filter((code) => code !== 0)
    .toReversed();
}

/** `w:TimedOut` → `TimedOut`. The local names differ in all namespaces concerned, so the prefix is not needed. */
function subcodeOf(fault: XmlElement): string {
  const subcode = childOf(childOf(fault, NS.soap, 'Code'), NS.soap, 'Subcode');
  return childOf(subcode, NS.soap, 'Value')?.text.trim().replace(/^.*:/, '') ?? '';
}

/** For people only: the innermost text, else the reason. */
function messageOf(fault: XmlElement): string {
  const texts = [...descendants(fault)]
    .filter((element) => isMessage(element))
    .map((element) => element.text.replace(/\s+/g, ' ').trim())
    .filter((text) => text !== '');
  return (texts.at(-1) ?? 'no text').slice(0, 500);
}

function isMessage({ uri, name }: XmlElement): boolean {
  if (uri === NS.soap) return name === 'Text';
  if (uri === NS.fault) return name === 'Message' || name === 'ProviderFault';
  return name === 'Description' || name === 'error_WindowsErrorMessage';
}
