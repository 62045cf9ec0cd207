/** The structures of sspi.h: our offsets against those a C compiler's rules give the members Microsoft documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import koffi from 'koffi';
import * as format from './sspi-format.ts';

const OURS = { ...format };

const POINTER = 'void *';
const ULONG = 'uint32_t';

/** Members in the order of sspi.h and rpcdce.h, with our name where we read or write one. */
const DOCUMENTED = {
  secBuffer: { length: ULONG, type: ULONG, address: POINTER },
  secBufferDesc: { version: ULONG, count: ULONG, buffers: POINTER },
  authIdentity: {
    user: POINTER,
    userLength: ULONG,
    domain: POINTER,
    domainLength: ULONG,
    password: POINTER,
    passwordLength: ULONG,
    flags: ULONG,
  },
  secChannelBindings: {
    dwInitiatorAddrType: ULONG,
    cbInitiatorLength: ULONG,
    dwInitiatorOffset: ULONG,
    dwAcceptorAddrType: ULONG,
    cbAcceptorLength: ULONG,
    dwAcceptorOffset: ULONG,
    applicationDataLength: ULONG,
    applicationDataOffset: ULONG,
  },
  contextSizes: { maxToken: ULONG, maxSignature: ULONG, blockSize: ULONG, securityTrailer: ULONG },
  contextSessionKey: { length: ULONG, key: POINTER },
  contextKeyInfo: {
    signatureAlgorithmName: POINTER,
    encryptAlgorithmName: POINTER,
    keySize: ULONG,
    signatureAlgorithm: ULONG,
    encryptAlgorithm: ULONG,
  },
  contextNegotiation: { packageInfo: POINTER, state: ULONG },
  packageInfo: {
    capabilities: ULONG,
    version: 'uint16_t',
    rpcId: 'uint16_t',
    maxToken: ULONG,
    name: POINTER,
    comment: POINTER,
  },
} as const;

for (const [name, members] of Object.entries(DOCUMENTED)) {
  test(`${name} is laid out as in 64-bit Windows`, () => {
    const ours = OURS[name as keyof typeof DOCUMENTED];
    const compiled = koffi.struct(members);
    assert.equal(ours.size, koffi.sizeof(compiled));
    for (const [field, { offset, size }] of Object.entries(ours.fields)) {
      const type = (members as Record<string, string>)[field]!;
      assert.deepEqual([offset, size], [koffi.offsetof(compiled, field), koffi.sizeof(type)], field);
    }
  });
}

test('handles are two words, times one', () => {
  assert.equal(
    koffi.sizeof(koffi.struct({ dwLower: 'uintptr_t', dwUpper: 'uintptr_t' })),
    format.HANDLE_BYTES,
  );
  assert.equal(koffi.sizeof(koffi.struct({ LowPart: ULONG, HighPart: 'int32_t' })), format.TIME_STAMP_BYTES);
});
