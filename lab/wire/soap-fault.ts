/** The faults of the wire: what each says in SOAP terms and by which number clients tell it from the others. */
type Text = readonly [english: string, japanese: string];

interface Definition {
  readonly code: 's:Sender' | 's:Receiver' | 's:MustUnderstand';
  /** Empty when SOAP itself names the fault. */
  readonly subcode: string;
  /** The number in WSManFault/@Code: WinRM's own (wsmerror.h), or a plain Win32 number. */
  readonly number: number;
  /** Last part of the DSP0226 fault detail URI. */
  readonly detail?: string;
  readonly text: Text;
}

const define = (
  code: Definition['code'],
  subcode: string,
  number: number,
  text: Text,
  detail?: string,
): Definition => ({ code, subcode, number, text, ...(detail === undefined ? {} : { detail }) });

const SOAP_FAULTS = {
  accessDenied: define('s:Sender', 'w:AccessDenied', 5, [
    'Access is denied. ',
    'アクセスが拒否されました。 ',
  ]),
  notFound: define(
    's:Sender',
    'a:DestinationUnreachable',
    2150858752,
    ['No resource has this URI and these selectors. ', 'この URI とセレクターのリソースがありません。 '],
    'InvalidResourceURI',
  ),
  actionNotSupported: define('s:Sender', 'a:ActionNotSupported', 2150858771, [
    'The resource does not know this action. ',
    'リソースはこのアクションに対応していません。 ',
  ]),
  invalidHeader: define('s:Sender', 'a:InvalidMessageInformationHeader', 2150858767, [
    'A header of the message is not valid. ',
    'メッセージのヘッダーが無効です。 ',
  ]),
  headerRequired: define('s:Sender', 'a:MessageInformationHeaderRequired', 2150858769, [
    'A required header is missing. ',
    '必要なヘッダーがありません。 ',
  ]),
  mustUnderstand: define('s:MustUnderstand', '', 2150858768, [
    'A header that must be understood is not. ',
    '解釈が必要なヘッダーを解釈できません。 ',
  ]),
  cannotProcessFilter: define('s:Sender', 'n:CannotProcessFilter', 2150858778, [
    'The filter is missing or not valid. ',
    'フィルターがないか、無効です。 ',
  ]),
  filterDialect: define('s:Sender', 'n:FilterDialectRequestedUnavailable', 2150858777, [
    'The filter dialect is not supported. ',
    'フィルターの言語には対応していません。 ',
  ]),
  filterNeedsWildcard: define(
    's:Sender',
    'a:DestinationUnreachable',
    2150859003,
    [
      'With a WQL filter the class name must be "*". ',
      'WQL フィルターではクラス名は "*" でなければなりません。 ',
    ],
    'InvalidResourceURI',
  ),
  invalidContext: define('s:Receiver', 'n:InvalidEnumerationContext', 2150858779, [
    'The enumeration context is not valid. ',
    '列挙コンテキストが無効です。 ',
  ]),
  invalidXml: define('s:Sender', 'w:SchemaValidationError', 2150858819, [
    'The message is not well-formed XML. ',
    'メッセージは整形式の XML ではありません。 ',
  ]),
  schemaInvalid: define('s:Sender', 'w:SchemaValidationError', 2150858817, [
    'The XML of the message does not match its schema. ',
    'メッセージの XML がスキーマと一致しません。 ',
  ]),
  minimumEnvelope: define(
    's:Sender',
    'w:EncodingLimit',
    2150858878,
    ['MaxEnvelopeSize is below 8192. ', 'MaxEnvelopeSize が 8192 未満です。 '],
    'MinimumEnvelopeLimit',
  ),
  clientEnvelope: define(
    's:Sender',
    'w:EncodingLimit',
    2150858824,
    [
      'The answer exceeds the MaxEnvelopeSize of the request. ',
      '応答が要求の MaxEnvelopeSize を超えています。 ',
    ],
    'MaxEnvelopeSizeExceeded',
  ),
  serverEnvelope: define(
    's:Sender',
    'w:EncodingLimit',
    2150858825,
    [
      'The answer exceeds the envelope limit of the host. ',
      '応答がホストのエンベロープの上限を超えています。 ',
    ],
    'ServiceEnvelopeLimit',
  ),
  timedOut: define('s:Receiver', 'w:TimedOut', 2150858793, [
    'The operation did not end within OperationTimeout. ',
    'OperationTimeout までに操作が終わりませんでした。 ',
  ]),
  insufficientSelectors: define(
    's:Sender',
    'w:InvalidSelectors',
    2150858842,
    ['Selectors are missing. ', 'セレクターが足りません。 '],
    'InsufficientSelectors',
  ),
  unexpectedSelectors: define(
    's:Sender',
    'w:InvalidSelectors',
    2150858843,
    ['The request has selectors the resource does not know. ', '要求に無効なセレクターがあります。 '],
    'UnexpectedSelectors',
  ),
  quota: define('s:Sender', 'w:QuotaLimit', 2150859174, [
    'The user has too many operations under way. ',
    'ユーザーの同時操作が多すぎます。 ',
  ]),
  providerInvalidParameter: define('s:Receiver', 'w:InternalError', 2150859038, [
    'The WMI provider refused a parameter. ',
    'WMI プロバイダーがパラメーターを拒否しました。 ',
  ]),
  providerFailed: define('s:Receiver', 'w:InternalError', 2150859010, [
    'The WMI provider could not do it. ',
    'WMI プロバイダーは操作を実行できませんでした。 ',
  ]),
} as const satisfies Record<string, Definition>;

type SoapFaultName = keyof typeof SOAP_FAULTS;

/** __ExtendedStatus of a WMI failure; `statusCode` is an HRESULT, and null for some failures, as recorded. */
export interface ExtendedStatus {
  readonly operation: string;
  readonly parameterInfo: string;
  readonly statusCode: number | null;
  readonly description?: string;
}

export class SoapFault extends Error {
  readonly definition: Definition;
  readonly extendedStatus: ExtendedStatus | undefined;

  constructor(name: SoapFaultName, note = '', extendedStatus?: ExtendedStatus) {
    super(note === '' ? name : `${name}: ${note}`);
    this.definition = SOAP_FAULTS[name];
    this.extendedStatus = extendedStatus;
  }
}

const WBEM_E_NOT_FOUND = 0x80041002;
export const WBEM_E_FAILED = 0x80041001;
export const WBEM_E_ACCESS_DENIED = 0x80041003;
const WBEM_E_INVALID_PARAMETER = 0x80041008;
const WBEM_E_INVALID_CLASS = 0x80041010;
export const WBEM_E_INVALID_METHOD_PARAMETERS = 0x8004102f;

const BY_STATUS: ReadonlyMap<number, SoapFaultName> = new Map([
  [WBEM_E_NOT_FOUND, 'notFound'],
  [WBEM_E_INVALID_CLASS, 'notFound'],
  [WBEM_E_ACCESS_DENIED, 'accessDenied'],
  [0x80070005, 'accessDenied'],
  [WBEM_E_INVALID_PARAMETER, 'providerInvalidParameter'],
  [WBEM_E_INVALID_METHOD_PARAMETERS, 'providerInvalidParameter'],
]);

/** The fault a WMI failure becomes. Anything without a number of its own is `providerFailed` with the status inside. */
export function wmiFault(status: ExtendedStatus & { statusCode: number }): SoapFault {
  return new SoapFault(BY_STATUS.get(status.statusCode) ?? 'providerFailed', status.description, status);
}

/** No instance has these keys, or the caller does not see it. */
export function notFound(
  operation: string,
  className: string,
  selectors: ReadonlyMap<string, string>,
): SoapFault {
  const keys = [...selectors].map(([name, value]) => `${name}="${value}"`);
  const parameterInfo = `${className}.${keys.join(',')}`;
  return wmiFault({ operation, parameterInfo, statusCode: WBEM_E_NOT_FOUND });
}
