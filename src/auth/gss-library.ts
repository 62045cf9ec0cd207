/**
 * The system's GSSAPI (MIT Kerberos) through koffi, which calls C libraries without anything being compiled here. RFC 2744.
 *
 * Handles and buffers belong to the library and are released here or by whoever holds the handle. Calls that may wait for
 * the network (tickets, names) run on libuv's threads, one at a time: a KDC that does not answer must not take all four of
 * them, which files are read on too. Calls that only compute run at once.
 */
import type { LibraryHandle } from 'koffi';
import { Mutex } from '../base/index.ts';
import { kerberosFaults } from './faults.ts';
import { GssError, isFailure } from './gss-status.ts';

/** A name, credential or context of the library; null when there is none. */
export type GssHandle = unknown;

const FILES = ['libgssapi_krb5.so.2', 'libgssapi_krb5.dylib'];

const TYPES = {
  HvGssBuffer: { length: 'size_t', value: 'void *' },
  HvGssOid: { length: 'uint32_t', elements: 'void *' },
  HvGssOidSet: { count: 'size_t', elements: 'HvGssOid *' },
  HvGssBinding: {
    initiatorType: 'uint32_t',
    initiator: 'HvGssBuffer',
    acceptorType: 'uint32_t',
    acceptor: 'HvGssBuffer',
    data: 'HvGssBuffer',
  },
  HvGssPair: { key: 'const char *', value: 'const char *' },
  HvGssStore: { count: 'uint32_t', elements: 'HvGssPair *' },
  HvGssBufferSet: { count: 'size_t', elements: 'HvGssBuffer *' },
} as const;

/** Every one has the minor status first. */
const PROTOTYPES = {
  importName: 'gss_import_name(M, HvGssBuffer *text, HvGssOid *type, _Out_ void **name)',
  releaseName: 'gss_release_name(M, _Inout_ void **name)',
  acquire:
    'gss_acquire_cred(M, void *name, uint32_t time, HvGssOidSet *mechs, int usage, _Out_ void **cred, void *m, void *t)',
  acquireWithPassword:
    'gss_acquire_cred_with_password(M, void *name, HvGssBuffer *password, uint32_t time, HvGssOidSet *mechs, int usage, _Out_ void **cred, void *m, void *t)',
  acquireFrom:
    'gss_acquire_cred_from(M, void *name, uint32_t time, HvGssOidSet *mechs, int usage, HvGssStore *store, _Out_ void **cred, void *m, void *t)',
  releaseCredential: 'gss_release_cred(M, _Inout_ void **cred)',
  initContext:
    'gss_init_sec_context(M, void *cred, _Inout_ void **ctx, void *name, HvGssOid *mech, uint32_t flags, uint32_t time, HvGssBinding *binding, HvGssBuffer *in, void *actual, _Out_ HvGssBuffer *out, _Out_ uint32_t *got, _Out_ uint32_t *seconds)',
  deleteContext: 'gss_delete_sec_context(M, _Inout_ void **ctx, void *out)',
  inquireContext: 'gss_inquire_sec_context_by_oid(M, void *ctx, HvGssOid *what, _Out_ HvGssBufferSet **set)',
  wrap: 'gss_wrap(M, void *ctx, int conf, uint32_t qop, HvGssBuffer *in, _Out_ int *sealed, _Out_ HvGssBuffer *out)',
  unwrap:
    'gss_unwrap(M, void *ctx, HvGssBuffer *in, _Out_ HvGssBuffer *out, _Out_ int *sealed, _Out_ uint32_t *qop)',
  getMic: 'gss_get_mic(M, void *ctx, uint32_t qop, HvGssBuffer *in, _Out_ HvGssBuffer *out)',
  verifyMic: 'gss_verify_mic(M, void *ctx, HvGssBuffer *in, HvGssBuffer *mic, _Out_ uint32_t *qop)',
  releaseBuffer: 'gss_release_buffer(M, _Inout_ HvGssBuffer *buffer)',
  releaseBufferSet: 'gss_release_buffer_set(M, _Inout_ HvGssBufferSet **set)',
  displayStatus:
    'gss_display_status(M, uint32_t status, int type, HvGssOid *mech, _Inout_ uint32_t *more, _Out_ HvGssBuffer *text)',
} as const;

type Name = keyof typeof PROTOTYPES;
type Native = ReturnType<LibraryHandle['func']>;
type Koffi = typeof import('koffi');

export interface GssBuffer {
  readonly length: number | bigint;
  readonly value: unknown;
}

/** 1.2.840.113554.1.2.2. */
export const KERBEROS_OID = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02);
const MECHANISM_STATUS = 2;

export class GssLibrary {
  readonly #koffi: Koffi;
  readonly #native: Readonly<Record<Name, Native>>;
  readonly #turn = new Mutex();

  constructor(koffi: Koffi, library: LibraryHandle) {
    this.#koffi = koffi;
    for (const [name, members] of Object.entries(TYPES)) koffi.struct(name, members);
    const functions = Object.entries(PROTOTYPES).map(([name, text]) => [
      name,
      library.func(`uint32_t ${text.replace('(M', '(_Out_ uint32_t *minor')}`),
    ]);
    this.#native = Object.fromEntries(functions) as Record<Name, Native>;
  }

  /** The major status. Throws `GssError` for a failure. */
  call(name: Name, ...args: readonly unknown[]): number {
    const minor = [0];
    const major = this.#native[name](minor, ...args) as number;
    return this.#checked(major, minor[0]!);
  }

  /** As {@link call}, on another thread. Its arguments stay referenced until it returns. */
  async callSlowly(name: Name, ...args: readonly unknown[]): Promise<number> {
    const minor = [0];
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#native[name].async(minor, ...args, (error: Error | null, major: number) =>
      error ? reject(error) : resolve(major),
    );
    return this.#checked(await promise, minor[0]!);
  }

  /** Nobody else waits for the network meanwhile. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    return this.#turn.run(task);
  }

  /** Copies what the library allocated, and releases it. */
  take(buffer: GssBuffer | undefined): Uint8Array {
    const length = Number(buffer?.length ?? 0);
    const copy = length === 0 ? new Uint8Array(0) : this.#copy(buffer!, length);
    if (buffer) this.#native.releaseBuffer([0], buffer);
    return copy;
  }

  /** The members of a buffer set, which is released. */
  takeSet(set: unknown): Uint8Array[] {
    const { count, elements } = this.#koffi.decode(set, 'HvGssBufferSet') as {
      count: number;
      elements: unknown;
    };
    const members = this.#koffi.decode(elements, 'HvGssBuffer', count) as GssBuffer[];
    const copies = members.map((member) => this.#copy(member, Number(member.length)));
    this.#native.releaseBufferSet([0], [set]);
    return copies;
  }

  #copy({ value }: GssBuffer, length: number): Uint8Array {
    return Uint8Array.from(new Uint8Array(this.#koffi.view(value, length)));
  }

  #checked(major: number, minor: number): number {
    if (!isFailure(major)) return major;
    throw new GssError(major, minor | 0, this.#textOf(major, minor));
  }

  #textOf(major: number, minor: number): string {
    const text: { length?: number; value?: unknown } = {};
    const status = minor === 0 ? major : minor;
    this.#native.displayStatus([0], status, minor === 0 ? 1 : MECHANISM_STATUS, oid(KERBEROS_OID), [0], text);
    const shown = Buffer.from(this.take(text as GssBuffer)).toString();
    return shown === '' ? `status ${major.toString(16)}, ${minor}` : shown;
  }
}

export function bytes(value: Uint8Array): GssBuffer {
  return { length: value.length, value };
}

export function oid(elements: Uint8Array): { length: number; elements: Uint8Array } {
  return { length: elements.length, elements };
}

let loading: Promise<GssLibrary> | undefined;

/** Once a process. Throws `KERBEROS_UNAVAILABLE`. */
export function loadGss(): Promise<GssLibrary> {
  loading ??= load();
  return loading;
}

async function load(): Promise<GssLibrary> {
  const { default: koffi } = await import('koffi').catch((cause: Error) => {
    throw kerberosFaults.unavailable({ reason: 'the package koffi is not installed' }, { cause });
  });
  const problems: string[] = [];
  for (const file of FILES) {
    try {
      return new GssLibrary(koffi as unknown as Koffi, koffi.load(file));
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  throw kerberosFaults.unavailable({ reason: problems[0] });
}
