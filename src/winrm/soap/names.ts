/** Namespaces and actions of WS-Management (DSP0226) as Windows speaks it (MS-WSMV). Decide by these, never by a prefix. */
export const NS = {
  soap: 'http://www.w3.org/2003/05/soap-envelope',
  addressing: 'http://schemas.xmlsoap.org/ws/2004/08/addressing',
  wsman: 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd',
  enumeration: 'http://schemas.xmlsoap.org/ws/2004/09/enumeration',
  cim: 'http://schemas.dmtf.org/wbem/wscim/1/common',
  xsi: 'http://www.w3.org/2001/XMLSchema-instance',
  xml: 'http://www.w3.org/XML/1998/namespace',
  microsoft: 'http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd',
  fault: 'http://schemas.microsoft.com/wbem/wsman/1/wsmanfault',
  identity: 'http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd',
} as const;

export const ANONYMOUS = `${NS.addressing}/role/anonymous`;
export const WQL_DIALECT = 'http://schemas.microsoft.com/wbem/wsman/1/WQL';

export const ACTION = {
  get: 'http://schemas.xmlsoap.org/ws/2004/09/transfer/Get',
  enumerate: `${NS.enumeration}/Enumerate`,
  pull: `${NS.enumeration}/Pull`,
  release: `${NS.enumeration}/Release`,
} as const;

const WMI_ROOT = 'http://schemas.microsoft.com/wbem/wsman/1/wmi';

/** The ResourceURI of a class; it is the XML namespace of the instance and of its methods' bodies too. */
export function resourceUri(namespace: string, className: string): string {
  return `${WMI_ROOT}/${namespace}/${className}`;
}
