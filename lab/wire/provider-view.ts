/** What one caller sees of the model during one request. Each class is asked for once. */
import {
  LabWmiError,
  type LabCaller,
  type LabCimProvider,
  type LabClass,
  type LabInstance,
  type LabMethodResult,
  type LabPath,
  type LabValue,
} from '../cim.ts';
import type { InstanceSource } from './associators.ts';
import { findClass } from './class-lookup.ts';
import { parseClassUri } from './names.ts';
import { hasKeys, keyNamed } from './object-path.ts';
import { SoapFault, wmiFault } from './soap-fault.ts';

export interface Caller extends LabCaller {
  /** Sees nothing and may do nothing, as a UAC-filtered administrator. */
  readonly filtered: boolean;
}

export class ProviderView implements InstanceSource {
  readonly provider: LabCimProvider;
  readonly caller: Caller;
  readonly #asked = new Map<string, Promise<readonly LabInstance[]>>();

  constructor(provider: LabCimProvider, caller: Caller) {
    this.provider = provider;
    this.caller = caller;
  }

  get classes(): ReadonlyMap<string, LabClass> {
    return this.provider.classes;
  }

  instances(className: string): Promise<readonly LabInstance[]> {
    if (this.caller.filtered) return Promise.resolve([]);
    const asked =
      this.#asked.get(className) ??
      asFault('Enumerate', className, () => this.provider.instances(className, this.caller));
    this.#asked.set(className, asked);
    return asked;
  }

  invoke(
    target: LabPath,
    method: string,
    parameters: Readonly<Record<string, LabValue>>,
  ): Promise<LabMethodResult> {
    return asFault('ExecMethod', method, () => this.provider.invoke(target, method, parameters, this.caller));
  }

  /** The class a resource URI names. */
  classOf(resourceUri: string): LabClass {
    const cls = findClass(this.classNameOf(resourceUri), this.classes);
    if (!cls) throw new SoapFault('notFound', `no class ${resourceUri.slice(-200)}`);
    return cls;
  }

  /** The last part of a resource URI, when its namespace is the one this host serves. */
  classNameOf(resourceUri: string): string {
    const resource = parseClassUri(resourceUri);
    if (resource?.namespace.toLowerCase() !== this.provider.namespace.toLowerCase()) {
      throw new SoapFault('notFound', `no namespace ${resource?.namespace ?? ''}`);
    }
    return resource.className;
  }

  /** The one instance with these keys; `undefined` when none or several have them. */
  async find(cls: LabClass, selectors: ReadonlyMap<string, string>): Promise<LabInstance | undefined> {
    for (const name of selectors.keys()) {
      if (keyNamed(cls, name) === undefined) throw new SoapFault('unexpectedSelectors', name);
    }
    const keys = Object.fromEntries(selectors);
    const instances = await this.instances(cls.name);
    const found = instances.filter((one) => hasKeys(this.classes.get(one.className)!, one, keys));
    return found.length === 1 ? found[0] : undefined;
  }
}

async function asFault<T>(operation: string, parameterInfo: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof LabWmiError)) throw error;
    throw wmiFault({ operation, parameterInfo, statusCode: error.status, description: error.message });
  }
}
