/** Method calls: from the body of a request to the out parameters. */
import type { LabClass, LabMethodResult, LabPath } from '../cim.ts';
import { outputXml } from './instance.ts';
import { classUri } from './names.ts';
import { pathOf } from './object-path.ts';
import { EntityInCdata, readParameters } from './parameters.ts';
import type { ProviderView } from './provider-view.ts';
import type { WireRequest } from './request.ts';
import {
  SoapFault,
  WBEM_E_ACCESS_DENIED,
  WBEM_E_FAILED,
  WBEM_E_INVALID_METHOD_PARAMETERS,
  notFound,
  wmiFault,
} from './soap-fault.ts';
import type { WireTraits } from './traits.ts';
import type { XmlElement } from './xml-reader.ts';

export async function invokeXml(
  request: WireRequest,
  view: ProviderView,
  traits: WireTraits,
): Promise<string> {
  const cls = view.classOf(request.resourceUri);
  const method = methodOf(request);
  if (method === undefined || !cls.methods[method]) throw new SoapFault('actionNotSupported');
  const input = inputOf(request, cls, method, view);
  const target = await targetOf(cls, request.selectors, view);
  const result = await called(cls, target, method, input, view);
  return outputXml(cls, method, result, view.provider, traits);
}

/** `…/Msvm_X/Method` → `Method`, when the rest is the resource. */
function methodOf(request: WireRequest): string | undefined {
  const slash = request.action.lastIndexOf('/');
  const resource = request.action.slice(0, slash).toLowerCase();
  return resource === request.resourceUri.toLowerCase() ? request.action.slice(slash + 1) : undefined;
}

function inputOf(request: WireRequest, cls: LabClass, method: string, view: ProviderView): XmlElement {
  const input = request.body;
  const uri = classUri(view.provider.namespace, cls.name).toLowerCase();
  if (input?.local === `${method}_INPUT` && input.uri.toLowerCase() === uri) return input;
  throw new SoapFault('schemaInvalid', `the body is no ${method}_INPUT`);
}

/**
 * A method is called on an instance. Some of its keys suffice when they single it out (seen with CreationClassName alone
 * on the services); without any, the management service fails as an invalid method call and others as an internal error.
 */
async function targetOf(
  cls: LabClass,
  selectors: ReadonlyMap<string, string>,
  view: ProviderView,
): Promise<LabPath> {
  const status = { operation: 'ExecMethod', parameterInfo: cls.name };
  if (selectors.size === 0) {
    const invalid = cls.name === 'Msvm_VirtualSystemManagementService';
    throw wmiFault({ ...status, statusCode: invalid ? WBEM_E_INVALID_METHOD_PARAMETERS : WBEM_E_FAILED });
  }
  if (view.caller.filtered) throw wmiFault({ ...status, statusCode: WBEM_E_ACCESS_DENIED });
  const instance = await view.find(cls, selectors);
  if (!instance) throw notFound('ExecMethod', cls.name, selectors);
  return pathOf(view.classes.get(instance.className)!, instance);
}

async function called(
  cls: LabClass,
  target: LabPath,
  method: string,
  input: XmlElement,
  view: ProviderView,
): Promise<LabMethodResult> {
  try {
    return await view.invoke(target, method, readParameters(input, method, cls.methods[method]!.in));
  } catch (error) {
    if (error instanceof EntityInCdata) return { returnValue: error.returnValue, out: {} };
    throw error;
  }
}
