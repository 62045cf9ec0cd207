/** {@link SecurityFunctions} by the functions of secur32.dll: plain values in, plain values out, nothing left in native memory. */
import { Mutex } from '../base/index.ts';
import type { NativeMemory } from './native-memory.ts';
import type { SealedMessage } from './security-context.ts';
import { putIdentity, putInput, readText } from './sspi-arguments.ts';
import { SspiBuffers } from './sspi-buffers.ts';
import {
  ATTRIBUTE,
  BUFFER_TYPE,
  contextKeyInfo,
  contextNegotiation,
  contextSessionKey,
  contextSizes,
  CREDENTIAL_OUTBOUND,
  NATIVE_DREP,
  NO_ENCRYPT,
  packageInfo,
  STATUS,
  TIME_STAMP_BYTES,
  TOKEN_BYTES_MAX,
} from './sspi-format.ts';
import type {
  ContextHandle,
  CredentialHandle,
  Initialized,
  InitializeCall,
  MessageSizes,
  PasswordIdentity,
  SecurityFunctions,
  SecurityPackage,
} from './sspi-functions.ts';
import { openNative, type SspiNative } from './sspi-native.ts';
import { SspiError } from './sspi-status.ts';
import { expiryOf } from './sspi-time.ts';

export class SspiLibrary implements SecurityFunctions {
  readonly #native: SspiNative;
  readonly #turn = new Mutex();

  constructor(native: SspiNative) {
    this.#native = native;
  }

  inTurn<T>(task: () => Promise<T>): Promise<T> {
    return this.#turn.run(task);
  }

  async acquire(name: SecurityPackage, identity: PasswordIdentity | undefined): Promise<CredentialHandle> {
    using memory = this.#native.memory();
    const who = identity ? putIdentity(memory, identity) : 0n;
    const expiry = memory.reserve(TIME_STAMP_BYTES);
    const handle = this.#native.reserveHandle();
    const status = await this.#native.callSlowly('AcquireCredentialsHandleW', [
      0n,
      memory.putText(name),
      CREDENTIAL_OUTBOUND,
      0n,
      who,
      0n,
      0n,
      handle,
      expiry,
    ]);
    if (status === STATUS.ok) return handle as CredentialHandle;
    this.#native.freeHandle(handle);
    throw new SspiError('AcquireCredentialsHandle', status);
  }

  async initialize(call: InitializeCall): Promise<Initialized> {
    using memory = this.#native.memory();
    const context = call.context ?? this.#native.reserveHandle();
    const output = new SspiBuffers(memory, [{ type: BUFFER_TYPE.token, content: TOKEN_BYTES_MAX }]);
    const [flags, expiry] = [memory.reserve(4), memory.reserve(TIME_STAMP_BYTES)];
    const status = await this.#native.callSlowly('InitializeSecurityContextW', [
      call.credential,
      call.context ?? 0n,
      memory.putText(call.service),
      call.flags,
      0,
      NATIVE_DREP,
      putInput(memory, call),
      0,
      context,
      output.address,
      flags,
      expiry,
    ]);
    if (status !== STATUS.ok && status !== STATUS.continueNeeded) {
      if (!call.context) this.#native.freeHandle(context);
      throw new SspiError('InitializeSecurityContext', status);
    }
    return {
      context: context as ContextHandle,
      done: status === STATUS.ok,
      token: output.read(0),
      flags: view(memory.read(flags, 4)).getUint32(0, true),
      expiresAtMs: expiryOf(view(memory.read(expiry, TIME_STAMP_BYTES)).getBigInt64(0, true), Date.now()),
    };
  }

  sizes(context: ContextHandle): MessageSizes {
    using memory = this.#native.memory();
    return contextSizes.read(this.#query(memory, context, ATTRIBUTE.sizes, contextSizes.size));
  }

  sessionKey(context: ContextHandle): Uint8Array | undefined {
    using memory = this.#native.memory();
    const bytes = this.#told(memory, context, ATTRIBUTE.sessionKey, contextSessionKey.size);
    if (!bytes) return undefined;
    const { key, length } = contextSessionKey.read(bytes);
    const copy = memory.read(BigInt(key), length);
    this.#native.release(BigInt(key));
    return copy;
  }

  encryptionType(context: ContextHandle): number | undefined {
    using memory = this.#native.memory();
    const bytes = this.#told(memory, context, ATTRIBUTE.keyInfo, contextKeyInfo.size);
    if (!bytes) return undefined;
    const info = contextKeyInfo.read(bytes);
    for (const name of [info.signatureAlgorithmName, info.encryptAlgorithmName]) {
      this.#native.release(BigInt(name));
    }
    return info.encryptAlgorithm | 0;
  }

  packageOf(context: ContextHandle): string {
    using memory = this.#native.memory();
    const bytes = this.#query(memory, context, ATTRIBUTE.negotiation, contextNegotiation.size);
    const place = BigInt(contextNegotiation.read(bytes).packageInfo);
    const { name } = packageInfo.read(memory.read(place, packageInfo.size));
    const text = readText(memory, BigInt(name));
    this.#native.release(place);
    return text;
  }

  encrypt(context: ContextHandle, plaintext: Uint8Array, securityTrailer: number): SealedMessage {
    using memory = this.#native.memory();
    const buffers = new SspiBuffers(memory, [
      { type: BUFFER_TYPE.token, content: securityTrailer },
      { type: BUFFER_TYPE.data, content: plaintext },
    ]);
    this.#native.call('EncryptMessage', context, 0, buffers.address, 0);
    return { signature: buffers.read(0), ciphertext: buffers.read(1) };
  }

  decrypt(context: ContextHandle, { signature, ciphertext }: SealedMessage): Uint8Array | undefined {
    using memory = this.#native.memory();
    const buffers = new SspiBuffers(memory, [
      { type: BUFFER_TYPE.token, content: signature },
      { type: BUFFER_TYPE.data, content: ciphertext },
    ]);
    const quality = memory.reserve(4);
    this.#native.call('DecryptMessage', context, buffers.address, 0, quality);
    return view(memory.read(quality, 4)).getUint32(0, true) === NO_ENCRYPT ? undefined : buffers.read(1);
  }

  sign(context: ContextHandle, message: Uint8Array, maxSignature: number): Uint8Array {
    using memory = this.#native.memory();
    const buffers = new SspiBuffers(memory, [
      { type: BUFFER_TYPE.data, content: message },
      { type: BUFFER_TYPE.token, content: maxSignature },
    ]);
    this.#native.call('MakeSignature', context, 0, buffers.address, 0);
    return buffers.read(1);
  }

  verify(context: ContextHandle, message: Uint8Array, signature: Uint8Array): void {
    using memory = this.#native.memory();
    const buffers = new SspiBuffers(memory, [
      { type: BUFFER_TYPE.data, content: message },
      { type: BUFFER_TYPE.token, content: signature },
    ]);
    this.#native.call('VerifySignature', context, buffers.address, 0, memory.reserve(4));
  }

  deleteContext(context: ContextHandle): void {
    this.#native.call('DeleteSecurityContext', context);
    this.#native.freeHandle(context);
  }

  freeCredential(credential: CredentialHandle): void {
    this.#native.call('FreeCredentialsHandle', credential);
    this.#native.freeHandle(credential);
  }

  /** `undefined` where the package does not know the attribute. */
  #told(
    memory: NativeMemory,
    context: ContextHandle,
    attribute: number,
    size: number,
  ): Uint8Array | undefined {
    try {
      return this.#query(memory, context, attribute, size);
    } catch (error) {
      if (error instanceof SspiError && error.status === STATUS.unsupportedFunction) return undefined;
      throw error;
    }
  }

  #query(memory: NativeMemory, context: ContextHandle, attribute: number, size: number): Uint8Array {
    const place = memory.reserve(size);
    this.#native.call('QueryContextAttributesW', context, attribute, place);
    return memory.read(place, size);
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

let loading: Promise<SecurityFunctions> | undefined;

/** That of Windows, once a process. Throws `SSPI_UNAVAILABLE`. */
export function loadSspi(): Promise<SecurityFunctions> {
  loading ??= openSspi('secur32.dll');
  return loading;
}

/** Throws `SSPI_UNAVAILABLE`. */
export async function openSspi(file: string): Promise<SspiLibrary> {
  return new SspiLibrary(await openNative(file));
}
