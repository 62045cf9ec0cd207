/**
 * Class schemas: what the CIM codec needs to know, and what gives `src/hyperv` its types.
 *
 *   const Msvm_ComputerSystem = cimClass('Msvm_ComputerSystem', {
 *     properties: { CreationClassName: 'string key', Name: 'string key', EnabledState: 'uint16', OperationalStatus: 'uint16[]' },
 *     methods: { RequestStateChange: { input: { RequestedState: 'uint16' }, output: { Job: 'ref' } } },
 *   });
 *   type Vm = CimInstance<typeof Msvm_ComputerSystem>;      // Vm['EnabledState']: number | null
 *
 * Values arrive by schema, never by shape: on the wire a one-element array looks like a scalar, a null array is absent, a
 * null scalar is `xsi:nil` (facts: recordings, traits "Nulls and arrays"). Properties a schema does not name are ignored,
 * because newer builds add some.
 */
export type CimType =
  | 'boolean'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'sint8'
  | 'sint16'
  | 'sint32'
  | 'sint64'
  | 'real32'
  | 'real64'
  | 'string'
  | 'datetime'
  | 'ref'
  /** A string that carries a CIM-XML instance (DSP0201); decoded to an {@link EmbeddedInstance}. */
  | 'embedded';

/** `'uint16'`, `'uint16[]'`, `'string key'`. */
export type PropertySpec = CimType | `${CimType}[]` | `${CimType} key`;
export type PropertySpecs = Readonly<Record<string, PropertySpec>>;

export interface MethodSpec {
  readonly input: PropertySpecs;
  /** Out parameters; `ReturnValue` is always there and not named. */
  readonly output: PropertySpecs;
  /** The method changes nothing on the host (it only computes), so it is repeated once after a break, like a read. */
  readonly repeatable?: true;
}

export interface CimClass<
  P extends PropertySpecs = PropertySpecs,
  M extends Readonly<Record<string, MethodSpec>> = Readonly<Record<string, MethodSpec>>,
> {
  readonly name: string;
  /** Where the class lives, such as `root/cimv2`; left out: the namespace of the session. */
  readonly namespace?: string;
  readonly properties: P;
  readonly methods: M;
}

export function cimClass<
  const P extends PropertySpecs,
  const M extends Readonly<Record<string, MethodSpec>> = Readonly<Record<never, MethodSpec>>,
>(name: string, spec: { namespace?: string; properties: P; methods?: M }): CimClass<P, M> {
  const { namespace, properties, methods } = spec;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    properties,
    methods: methods ?? ({} as M),
  };
}

/** An object path: the class and its key values. WS-Man: ResourceURI and SelectorSet. */
export interface CimReference {
  readonly className: string;
  readonly keys: Readonly<Record<string, string>>;
}

/** A moment (`date`) or a duration (`intervalSeconds`). 1601-01-01 means "never" and is decoded to null. */
export type CimDatetime =
  | { readonly date: Date; readonly intervalSeconds?: never }
  | { readonly intervalSeconds: number; readonly date?: never };

/** A CIM-XML instance; values are decoded by the TYPE each property carries. Make one to send with {@link embedded}. */
export interface EmbeddedInstance {
  readonly className: string;
  readonly properties: Readonly<Record<string, EmbeddedValue>>;
  /**
   * The CIM type of each property. A host refuses a property sent with another TYPE than its own (ErrorCode 32768), and a
   * JavaScript number does not tell uint8 from uint32: without its type here a number can not be sent.
   */
  readonly types?: Readonly<Record<string, CimType>>;
}
export type EmbeddedScalar = string | number | bigint | boolean | CimDatetime;
export type EmbeddedValue = EmbeddedScalar | readonly EmbeddedScalar[] | null;

interface TypeMap {
  boolean: boolean;
  uint8: number;
  uint16: number;
  uint32: number;
  uint64: bigint;
  sint8: number;
  sint16: number;
  sint32: number;
  sint64: bigint;
  real32: number;
  real64: number;
  string: string;
  datetime: CimDatetime;
  ref: CimReference;
  embedded: EmbeddedInstance;
}

/** The TypeScript type of one property: keys are never null, absent arrays are empty. */
export type ValueOf<S extends PropertySpec> = S extends `${infer T extends CimType} key`
  ? TypeMap[T]
  : S extends `${infer T extends CimType}[]`
    ? readonly TypeMap[T][]
    : S extends CimType
      ? TypeMap[S] | null
      : never;

export type CimInstance<C extends CimClass> = {
  readonly [K in keyof C['properties']]: ValueOf<C['properties'][K]>;
};
export type MethodInput<C extends CimClass, M extends keyof C['methods']> = {
  readonly [K in keyof C['methods'][M]['input']]?: ValueOf<C['methods'][M]['input'][K]>;
};
export type MethodOutput<C extends CimClass, M extends keyof C['methods']> = {
  readonly [K in keyof C['methods'][M]['output']]: ValueOf<C['methods'][M]['output'][K]>;
} & { readonly returnValue: number };

/** An instance to send inside a string parameter, its types taken from the class: name the key and what changes, no more. */
export function embedded<C extends CimClass>(cls: C, values: Partial<CimInstance<C>>): EmbeddedInstance {
  const types = Object.keys(values).map((name) => [name, parseSpec(cls.properties[name]!).type] as const);
  return {
    className: cls.name,
    properties: values as EmbeddedInstance['properties'],
    types: Object.fromEntries(types),
  };
}

export function parseSpec(spec: PropertySpec): { type: CimType; array: boolean; key: boolean } {
  if (spec.endsWith('[]')) return { type: spec.slice(0, -2) as CimType, array: true, key: false };
  if (spec.endsWith(' key')) return { type: spec.slice(0, -4) as CimType, array: false, key: true };
  return { type: spec as CimType, array: false, key: false };
}

/** The reference to an instance that was read: its class and key properties. */
export function referenceTo<C extends CimClass>(cls: C, instance: CimInstance<C>): CimReference {
  const values = instance as Readonly<Record<string, unknown>>;
  const keys = Object.entries(cls.properties)
    .filter(([, spec]) => parseSpec(spec).key)
    .map(([name]) => [name, String(values[name])]);
  return { className: cls.name, keys: Object.fromEntries(keys) as Record<string, string> };
}
