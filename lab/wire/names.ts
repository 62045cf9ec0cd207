/** Names of WS-Management on Windows: XML namespaces, actions, and the resource URIs of WMI classes. */
export const NS = {
  soap: 'http://www.w3.org/2003/05/soap-envelope',
  addressing: 'http://schemas.xmlsoap.org/ws/2004/08/addressing',
  wsman: 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd',
  microsoft: 'http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd',
  enumeration: 'http://schemas.xmlsoap.org/ws/2004/09/enumeration',
  eventing: 'http://schemas.xmlsoap.org/ws/2004/08/eventing',
  transfer: 'http://schemas.xmlsoap.org/ws/2004/09/transfer',
  cim: 'http://schemas.dmtf.org/wbem/wscim/1/common',
  cimBinding: 'http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd',
  cimSchema: 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2',
  fault: 'http://schemas.microsoft.com/wbem/wsman/1/wsmanfault',
  identity: 'http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd',
  config: 'http://schemas.microsoft.com/wbem/wsman/1/config',
  xsi: 'http://www.w3.org/2001/XMLSchema-instance',
} as const;

export const ACTION = {
  get: `${NS.transfer}/Get`,
  enumerate: `${NS.enumeration}/Enumerate`,
  pull: `${NS.enumeration}/Pull`,
  release: `${NS.enumeration}/Release`,
} as const;

export const ANONYMOUS = `${NS.addressing}/role/anonymous`;
export const WQL_DIALECT = 'http://schemas.microsoft.com/wbem/wsman/1/WQL';

const WMI_PREFIX = 'http://schemas.microsoft.com/wbem/wsman/1/wmi/';

/** The resource URI of a class, which is also the XML namespace of its instances and method bodies. */
export function classUri(namespace: string, className: string): string {
  return `${WMI_PREFIX}${namespace}/${className}`;
}

/** `root/virtualization/v2` and `Msvm_ComputerSystem` (or `*`); URIs are compared without regard to case. */
export function parseClassUri(uri: string): { namespace: string; className: string } | undefined {
  if (!uri.toLowerCase().startsWith(WMI_PREFIX)) return undefined;
  const path = uri.slice(WMI_PREFIX.length).replace(/\?.*$/, '');
  const slash = path.lastIndexOf('/');
  return slash > 0 ? { namespace: path.slice(0, slash), className: path.slice(slash + 1) } : undefined;
}
