/**
 * The port between WS-Management and the classes built on it: typed CIM operations on one namespace of one host.
 * `src/hyperv` is written against this; {@link file://./client.ts} implements it over HTTP.
 */
import type { CallOptions } from '../disk/index.ts';
import type { CimClass, CimInstance, CimReference, MethodInput, MethodOutput } from './schema.ts';

export interface CimSession {
  /** One instance by its keys. Throws `WINRM_NOT_FOUND` when there is none. */
  get<C extends CimClass>(cls: C, keys: CimReference['keys'], options?: CallOptions): Promise<CimInstance<C>>;

  /** Every instance of a class. Pulls page by page; an abandoned iteration releases the context on the host. */
  enumerate<C extends CimClass>(cls: C, options?: CallOptions): AsyncIterable<CimInstance<C>>;

  /**
   * The instances a WQL query yields, decoded as `cls`. Write literals with {@link file://./cim/wql.ts} `wql`, never by
   * pasting: wql`SELECT * FROM Msvm_ComputerSystem WHERE ElementName = ${name}`.
   */
  query<C extends CimClass>(cls: C, text: string, options?: CallOptions): AsyncIterable<CimInstance<C>>;

  /**
   * Calls a method on an instance (or on a singleton service, by the keys of it that suffice). Parameters left out are not
   * sent. `returnValue` is for the caller to judge. Never repeated after bytes of it may have reached the host: then it
   * throws `WINRM_EFFECT_UNKNOWN`, or `WINRM_SESSION_EXPIRED` when somebody said with a 401 that it did not run, and the
   * caller looks for the call's effect before doing anything else.
   */
  invoke<C extends CimClass, M extends keyof C['methods'] & string>(
    cls: C,
    keys: CimReference['keys'],
    method: M,
    input: MethodInput<C, M>,
    options?: CallOptions,
  ): Promise<MethodOutput<C, M>>;

  close(): Promise<void>;
}
