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

/** Win32 numbers, HRESULTs (0x8007....), WBEM statuses (0x8004....), WinRM numbers (0x8033....). */
const BY_CODE: ReadonlyMap<number, Meaning> = new Map([
  [5, 'accessDenied'],
  [0x80070005, 'accessDenied'],
  [0x80041003, 'accessDenied'],
  [0x80338000, 'notFound'],
  [0x80041002, 'notFound'],
  [0x8004100e, 'classUnknown'],
  [0x80041010, 'classUnknown'],
  [0x80338029, 'timedOut'],
  [0x80338026, 'envelopeTooLarge'],
  [0x80338048, 'envelopeTooLarge'],
  [0x80338049, 'envelopeTooLarge'],
  [0x803381a5, 'quotaExceeded'],
  [0x8004106c, 'quotaExceeded'],
  [0x8033801a, 'badFilter'],
  [0x80041017, 'badFilter'],
  [0x80041018, 'badFilter'],
  [0x80338041, 'schemaInvalid'],
  [0x8033800f, 'schemaInvalid'],
  [0x8033805b, 'selectorsInvalid'],
  [87, 'parameterInvalid'],
  [0x80070057, 'parameterInvalid'],
  [0x80041008, 'parameterInvalid'],
  [0x8004102f, 'parameterInvalid'],
]);

const BY_SUBCODE: Readonly<Record<string, Meaning>> = {
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
};

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
    codes.map((code) => BY_CODE.get(code)).find(Boolean) ?? BY_SUBCODE[subcode] ?? 'providerFailed';
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
