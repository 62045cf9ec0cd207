/**
 * secur32.dll through koffi. Every argument is a number or an address, so nothing depends on how koffi turns objects into
 * structures, and the calls that may wait for the network run on libuv's threads.
 */
import type { LibraryHandle } from 'koffi';
import { sspiFaults } from './faults.ts';
import { NativeMemory, type Address, type MemoryFunctions } from './native-memory.ts';
import { HANDLE_BYTES, STATUS } from './sspi-format.ts';
import { SspiError } from './sspi-status.ts';

/** The arguments: u32 (`u`) or an address (`p`). The answer is a status. */
const PROTOTYPES = {
  AcquireCredentialsHandleW: 'ppupppppp',
  InitializeSecurityContextW: 'pppuuupupppp',
  QueryContextAttributesW: 'pup',
  EncryptMessage: 'pupu',
  DecryptMessage: 'ppup',
  MakeSignature: 'pupu',
  VerifySignature: 'ppup',
  DeleteSecurityContext: 'p',
  FreeCredentialsHandle: 'p',
  FreeContextBuffer: 'p',
} as const;

type SspiName = keyof typeof PROTOTYPES;
type NativeFunction = ReturnType<LibraryHandle['func']>;

type Argument = number | Address;

export class SspiNative {
  readonly #koffi: MemoryFunctions;
  readonly #functions: Readonly<Record<SspiName, NativeFunction>>;

  constructor(koffi: MemoryFunctions, library: LibraryHandle) {
    this.#koffi = koffi;
    const functions = Object.entries(PROTOTYPES).map(([name, kinds]) => [
      name,
      library.func(
        name,
        'int32_t',
        Array.from(kinds, (kind) => (kind === 'u' ? 'uint32_t' : 'void *')),
      ),
    ]);
    this.#functions = Object.fromEntries(functions) as Record<SspiName, NativeFunction>;
  }

  memory(): NativeMemory {
    return new NativeMemory(this.#koffi);
  }

  /** Room for a handle, which stays until it is given back. */
  reserveHandle(): Address {
    return this.#koffi.alloc('uint8_t', HANDLE_BYTES) as Address;
  }

  freeHandle(handle: Address): void {
    this.#koffi.free(handle);
  }

  /** Throws `SspiError` unless the status is 0. */
  call(name: SspiName, ...args: readonly Argument[]): void {
    const status = this.#functions[name](...args) as number;
    if (status !== STATUS.ok) throw new SspiError(name, status >>> 0);
  }

  /** What the library has allocated. Windows refusing it back would cost some bytes; a log-on must not fail by it. */
  release(address: Address): void {
    if (address !== 0n) this.#functions.FreeContextBuffer(address);
  }

  /** The status, from another thread. */
  async callSlowly(name: SspiName, args: readonly Argument[]): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#functions[name].async(...args, (error: Error | null, status: number) =>
      error ? reject(error) : resolve(status >>> 0),
    );
    return await promise;
  }
}

/** Throws `SSPI_UNAVAILABLE`. */
export async function openNative(file: string): Promise<SspiNative> {
  const { default: koffi } = await import('koffi').catch((cause: Error) => {
    throw sspiFaults.unavailable({ reason: 'the package koffi is not installed' }, { cause });
  });
  if (koffi.sizeof('void *') !== 8) throw sspiFaults.unavailable({ reason: 'this Node is not a 64-bit one' });
  try {
    return new SspiNative(koffi, koffi.load(file));
  } catch (cause) {
    throw sspiFaults.unavailable({ reason: (cause as Error).message }, { cause });
  }
}
