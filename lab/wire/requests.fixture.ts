/** Request envelopes as a client writes them. */
import { ACTION, ANONYMOUS, NS, WQL_DIALECT, classUri } from './names.ts';
import { NAMESPACE } from './provider.fixture.ts';
import { element, escapeXml, namespaces } from './xml-writer.ts';

export const MESSAGE_ID = 'uuid:11111111-2222-4333-8444-555555555555';

export interface RequestOptions {
  readonly uri?: string;
  readonly selectors?: Readonly<Record<string, string>>;
  readonly maxEnvelopeBytes?: number;
  readonly timeout?: string;
  /** Further header elements, as XML. */
  readonly headers?: string;
}

export function uriOf(className: string): string {
  return classUri(NAMESPACE, className);
}

export function request(action: string, body: string, options: RequestOptions): string {
  const understood = { 's:mustUnderstand': 'true' };
  const selectors = Object.entries(options.selectors ?? {}).map(([Name, value]) =>
    element('w:Selector', { Name }, escapeXml(value)),
  );
  const headers = [
    element('a:To', {}, 'http://hv1:5985/wsman'),
    element('w:ResourceURI', understood, options.uri ?? uriOf('*')),
    element('a:ReplyTo', {}, element('a:Address', understood, ANONYMOUS)),
    element('a:Action', understood, action),
    element('w:MaxEnvelopeSize', understood, String(options.maxEnvelopeBytes ?? 512_000)),
    element('a:MessageID', {}, MESSAGE_ID),
    element('w:OperationTimeout', {}, options.timeout ?? 'PT60.000S'),
    selectors.length > 0 ? element('w:SelectorSet', {}, selectors.join('')) : '',
    options.headers ?? '',
  ];
  const prefixes = { s: NS.soap, a: NS.addressing, w: NS.wsman, n: NS.enumeration, xsi: NS.xsi, cim: NS.cim };
  const content = element('s:Header', {}, headers.join('')) + element('s:Body', {}, body);
  return element('s:Envelope', namespaces(prefixes), content);
}

export interface EnumerateOptions extends RequestOptions {
  readonly wql?: string;
  readonly optimized?: boolean;
  readonly max?: number;
  readonly mode?: string;
}

export function enumerate(options: EnumerateOptions): string {
  const content = [
    options.optimized ? '<w:OptimizeEnumeration/>' : '',
    options.max === undefined ? '' : element('w:MaxElements', {}, String(options.max)),
    options.mode === undefined ? '' : element('w:EnumerationMode', {}, options.mode),
    options.wql === undefined ? '' : element('w:Filter', { Dialect: WQL_DIALECT }, escapeXml(options.wql)),
  ];
  return request(ACTION.enumerate, element('n:Enumerate', {}, content.join('')), options);
}

export function pull(context: string, options: RequestOptions & { max?: number } = {}): string {
  const max = options.max === undefined ? '' : element('n:MaxElements', {}, String(options.max));
  const content = element('n:EnumerationContext', {}, context) + max;
  return request(ACTION.pull, element('n:Pull', {}, content), options);
}

export function release(context: string): string {
  const content = element('n:Release', {}, element('n:EnumerationContext', {}, context));
  return request(ACTION.release, content, {});
}

export function get(className: string, selectors: Readonly<Record<string, string>>): string {
  return request(ACTION.get, '', { uri: uriOf(className), selectors });
}

/** `parameters` is the XML inside the `_INPUT` element, prefix `p`. */
export function invoke(
  className: string,
  method: string,
  parameters: string,
  options: RequestOptions = { selectors: { CreationClassName: className } },
): string {
  const uri = uriOf(className);
  const body = element(`p:${method}_INPUT`, namespaces({ p: uri }), parameters);
  return request(`${uri}/${method}`, body, { uri, ...options });
}
