/**
 * The port between the lab's wire (WS-Management over HTTP, `lab/wire`) and its model of a host (`lab/model`):
 * plain CIM, no XML. The lab shares no code with `src/winrm`: two implementations that agree prove more than one that
 * agrees with itself.
 */
export type LabCimType =
  | 'boolean'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'sint8'
  | 'sint16'
  | 'sint32'
  | 'sint64'
  | 'string'
  | 'datetime'
  | 'reference'
  /** A string on the wire that carries a CIM-XML instance (EmbeddedInstance); `null` when the text is empty. */
  | 'embedded'
  /** An instance as an element tree (EmbeddedObject), as GetSummaryInformation answers. */
  | 'object';

export interface LabProperty {
  readonly type: LabCimType;
  readonly array?: boolean;
  readonly key?: boolean;
}

export interface LabMethod {
  readonly in: Readonly<Record<string, LabProperty>>;
  readonly out: Readonly<Record<string, LabProperty>>;
}

export interface LabClass {
  readonly name: string;
  /** Superclass chain, nearest first: `SELECT * FROM CIM_ManagedElement` finds subclasses too. */
  readonly superclasses: readonly string[];
  /** Every property of the class on a real host, inherited ones included: null ones are sent as nil. */
  readonly properties: Readonly<Record<string, LabProperty>>;
  readonly methods: Readonly<Record<string, LabMethod>>;
}

/** A WMI object path without host and namespace: class and key values (keys are strings on the wire). */
export interface LabPath {
  readonly className: string;
  readonly keys: Readonly<Record<string, string>>;
}

export interface LabInterval {
  readonly intervalSeconds: number;
}

/**
 * CIM-XML text is made and parsed by the wire (`lab/wire/embedded.ts`); the model sees instances. Text in an `embedded`
 * parameter that is not CIM-XML arrives as the string it was. A {@link LabPath} in a property of type `string` is sent as
 * object path text with host and namespace; `reference` properties are sent as endpoint references.
 */
export type LabScalar =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | LabInterval
  | LabPath
  | LabInstance;
export type LabValue = LabScalar | readonly LabScalar[];

export interface LabInstance {
  readonly className: string;
  /** Only what is not null needs to be present. */
  readonly properties: Readonly<Record<string, LabValue>>;
}

export interface LabCaller {
  /** `DOMAIN\user` of the authenticated session. */
  readonly user: string;
}

export interface LabMethodResult {
  readonly returnValue: number;
  /** Out parameters that are not null. */
  readonly out: Readonly<Record<string, LabValue>>;
}

/** A WMI failure the wire turns into a WS-Management fault with the provider's detail. */
export class LabWmiError extends Error {
  /** HRESULT or WBEM status, e.g. 0x80041002 (not found), 0x8004102F (invalid method parameters). */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What the model offers to the wire. Names of classes, properties, methods are compared without regard to case in WQL, with regard to it in bodies. */
export interface LabCimProvider {
  /** `root/virtualization/v2` */
  readonly namespace: string;
  /** The other namespaces of the same host. */
  readonly others?: readonly LabCimProvider[];
  readonly hostName: string;
  readonly classes: ReadonlyMap<string, LabClass>;
  /** Instances of exactly the class or of its subclasses. Associations are classes like any other. */
  instances(className: string, caller: LabCaller): Promise<readonly LabInstance[]>;
  invoke(
    target: LabPath,
    method: string,
    parameters: Readonly<Record<string, LabValue>>,
    caller: LabCaller,
  ): Promise<LabMethodResult>;
}

/**
 * Thrown by a provider to make the wire break the connection instead of answering. The call's effect stands when the
 * provider applied it before throwing: that is how "the host did it and the answer was lost" is rehearsed.
 */
export class LabConnectionDrop extends Error {}
