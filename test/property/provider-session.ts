/**
 * The client's port to a host, put on the lab's model without XML, sealing and sockets between them: a backup then takes a
 * twentieth of the time, so that thousands of sequences are affordable. WQL, keys, nulls and faults are what the wire
 * makes of them; the wire itself is in between for a share of the sequences.
 */
import type { CallOptions } from '../../src/disk/index.ts';
import {
  parseSpec,
  winrmFaults,
  type CimClass,
  type CimInstance,
  type CimReference,
  type CimSession,
  type MethodInput,
  type MethodOutput,
} from '../../src/winrm/index.ts';
import { LabConnectionDrop, type LabCimProvider, type LabInstance } from '../../lab/cim.ts';
import { pathOf } from '../../lab/wire/object-path.ts';
import { ProviderView } from '../../lab/wire/provider-view.ts';
import { runQuery } from '../../lab/wire/query.ts';
import { SoapFault } from '../../lab/wire/soap-fault.ts';
import { inputValue, outputValue } from './provider-values.ts';

export class ProviderSession implements CimSession {
  readonly #provider: () => LabCimProvider;
  readonly #user: string;

  /** `provider` is asked at every call: a host that was restarted has a new one. */
  constructor(provider: () => LabCimProvider, user = 'HV01\\Administrator') {
    this.#provider = provider;
    this.#user = user;
  }

  get<C extends CimClass>(
    cls: C,
    keys: CimReference['keys'],
    options: CallOptions = {},
  ): Promise<CimInstance<C>> {
    return this.#read(options, cls, async (view) => {
      const found = await view.find(view.classes.get(cls.name)!, new Map(Object.entries(keys)));
      if (!found)
        throw winrmFaults.notFound({ resource: cls.name, host: 'HV01', code: 0, message: 'no such key' });
      return this.#decoded(cls, found);
    });
  }

  async *enumerate<C extends CimClass>(cls: C, options: CallOptions = {}): AsyncIterable<CimInstance<C>> {
    const rows = await this.#read(options, cls, (view) => view.instances(cls.name));
    for (const row of rows) yield this.#decoded(cls, row);
  }

  async *query<C extends CimClass>(
    cls: C,
    text: string,
    options: CallOptions = {},
  ): AsyncIterable<CimInstance<C>> {
    const { instances } = await this.#read(options, cls, (view) => runQuery(text, view));
    for (const row of instances) yield this.#decoded(cls, row);
  }

  async invoke<C extends CimClass, M extends keyof C['methods'] & string>(
    cls: C,
    keys: CimReference['keys'],
    method: M,
    input: MethodInput<C, M>,
    options: CallOptions = {},
  ): Promise<MethodOutput<C, M>> {
    const call = (view: ProviderView): Promise<MethodOutput<C, M>> =>
      this.#call(view, cls, keys, method, input as Readonly<Record<string, unknown>>) as Promise<
        MethodOutput<C, M>
      >;
    if (cls.methods[method]!.repeatable) return this.#read(options, cls, call);
    try {
      return await this.#once(options, cls, call);
    } catch (error) {
      if (!(error instanceof LabConnectionDrop)) throw error;
      throw winrmFaults.effectUnknown({ method: `${cls.name}.${method}` });
    }
  }

  async close(): Promise<void> {}

  /** As the client does: a read is repeated once after a break. */
  async #read<T>(options: CallOptions, cls: CimClass, read: (view: ProviderView) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(options, cls, read);
      } catch (error) {
        if (!(error instanceof LabConnectionDrop)) throw error;
        if (attempt === 2) throw winrmFaults.connectionLost({ host: 'HV01', reason: 'rehearsed' });
      }
    }
  }

  async #once<T>(
    { signal }: CallOptions,
    cls: CimClass,
    work: (view: ProviderView) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await work(new ProviderView(this.#providerOf(cls), { user: this.#user, filtered: false }));
    } catch (error) {
      throw asClientFault(error);
    } finally {
      signal?.throwIfAborted();
    }
  }

  #providerOf({ namespace }: CimClass): LabCimProvider {
    const provider = this.#provider();
    return provider.others?.find((other) => other.namespace === namespace) ?? provider;
  }

  async #call(
    view: ProviderView,
    cls: CimClass,
    keys: CimReference['keys'],
    method: string,
    input: Readonly<Record<string, unknown>>,
  ): Promise<object> {
    const labClass = view.classes.get(cls.name)!;
    const target = await view.find(labClass, new Map(Object.entries(keys)));
    if (!target)
      throw winrmFaults.notFound({ resource: cls.name, host: 'HV01', code: 0, message: 'no such key' });
    const declared = labClass.methods[method]!;
    const parameters = Object.entries(input).map(([name, value]) => [
      name,
      inputValue(declared.in[name]!, value),
    ]);
    const path = pathOf(view.classes.get(target.className)!, target);
    const answer = await view.invoke(path, method, Object.fromEntries(parameters));
    const output = Object.entries(cls.methods[method]!.output).map(([name, spec]) => [
      name,
      outputValue(parseSpec(spec), answer.out[name] ?? null, this.#provider()),
    ]);
    return { ...Object.fromEntries(output), returnValue: answer.returnValue };
  }

  #decoded<C extends CimClass>(cls: C, row: LabInstance): CimInstance<C> {
    const values = Object.entries(cls.properties).map(([name, spec]) => [
      name,
      outputValue(parseSpec(spec), row.properties[name] ?? null, this.#provider()),
    ]);
    return Object.fromEntries(values) as CimInstance<C>;
  }
}

const WBEM_NOT_FOUND = 0x80041002;

/** What the client makes of the faults the wire would send. */
function asClientFault(error: unknown): unknown {
  if (!(error instanceof SoapFault)) return error;
  const status = error.extendedStatus?.statusCode ?? 0;
  const details = { resource: 'the object', host: 'HV01', code: status, message: error.message };
  return status === WBEM_NOT_FOUND ? winrmFaults.notFound(details) : winrmFaults.providerFailed(details);
}
