/** What the functions of secur32.dll take and give, between plain values and native memory. */
import type { Address, NativeMemory } from './native-memory.ts';
import { SspiBuffers } from './sspi-buffers.ts';
import { authIdentity, BUFFER_TYPE, IDENTITY_UNICODE, secChannelBindings } from './sspi-format.ts';
import type { InitializeCall, PasswordIdentity } from './sspi-functions.ts';

/** Packages have short names. */
const NAME_UNITS_MAX = 64;

/** SEC_WINNT_AUTH_IDENTITY_W. */
export function putIdentity(memory: NativeMemory, { user, domain, password }: PasswordIdentity): Address {
  const bytes = new Uint8Array(authIdentity.size);
  authIdentity.write(bytes, {
    user: Number(memory.putText(user)),
    userLength: user.length,
    domain: Number(memory.putText(domain)),
    domainLength: domain.length,
    password: Number(memory.putText(password)),
    passwordLength: password.length,
    flags: IDENTITY_UNICODE,
  });
  return memory.put(bytes);
}

/** The descriptor of the server's token and the channel binding; NULL without either. */
export function putInput(
  memory: NativeMemory,
  { token, channelBinding }: Pick<InitializeCall, 'token' | 'channelBinding'>,
): Address {
  const buffers = [
    ...(token ? [{ type: BUFFER_TYPE.token, content: token }] : []),
    ...(channelBinding ? [{ type: BUFFER_TYPE.channelBindings, content: bindingsOf(channelBinding) }] : []),
  ];
  return buffers.length === 0 ? 0n : new SspiBuffers(memory, buffers).address;
}

function bindingsOf(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(secChannelBindings.size + data.length);
  const at = secChannelBindings.size;
  secChannelBindings.write(bytes, { applicationDataLength: data.length, applicationDataOffset: at });
  bytes.set(data, at);
  return bytes;
}

/** Up to the zero at its end. */
export function readText(memory: NativeMemory, address: Address): string {
  let text = '';
  for (let at = address; text.length < NAME_UNITS_MAX; at += 2n) {
    const unit = Buffer.from(memory.read(at, 2)).readUInt16LE();
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}
