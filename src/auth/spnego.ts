/**
 * SPNEGO (RFC 4178, MS-SPNG): the wrapping the tokens of a log-on travel in.
 *
 *   → NegTokenInit   mechanisms, first token
 *   ← NegTokenResp   incomplete, the server's token            as often as the mechanism needs
 *   → NegTokenResp   next token, MIC over the list of mechanisms
 *   ← NegTokenResp   complete, the server's MIC
 *
 * One mechanism is offered, so nothing is left to negotiate; the MICs prove to each side that nobody changed the list.
 */
import { der, Malformed, readDer, readDerAs } from './der.ts';

const TAG = { octets: 0x04, oid: 0x06, enumerated: 0x0a, sequence: 0x30, application0: 0x60 } as const;
const context = (number: number): number => 0xa0 + number;
/** 1.3.6.1.5.5.2. */
const SPNEGO_OID = Uint8Array.of(0x2b, 0x06, 0x01, 0x05, 0x05, 0x02);
/** RFC 4178 4.2.2, negState. */
const STATES = ['complete', 'incomplete', 'reject', 'request-mic'] as const;

export interface SpnegoAnswer {
  readonly state: (typeof STATES)[number] | undefined;
  /** Object identifier, without tag and length. */
  readonly mechanism: Uint8Array | undefined;
  readonly token: Uint8Array | undefined;
  readonly mic: Uint8Array | undefined;
}

/** What the MICs are over: the list of offered mechanisms, here of one. */
export function mechanismList(mechanism: Uint8Array): Uint8Array {
  return der(TAG.sequence, der(TAG.oid, mechanism));
}

export function writeFirst(mechanism: Uint8Array, token: Uint8Array): Uint8Array {
  const init = der(
    TAG.sequence,
    der(context(0), mechanismList(mechanism)),
    der(context(2), der(TAG.octets, token)),
  );
  return der(TAG.application0, der(TAG.oid, SPNEGO_OID), der(context(0), init));
}

export function writeNext(token: Uint8Array, mic: Uint8Array): Uint8Array {
  const state = der(TAG.enumerated, Uint8Array.of(STATES.indexOf('incomplete')));
  return der(
    context(1),
    der(
      TAG.sequence,
      der(context(0), state),
      der(context(2), der(TAG.octets, token)),
      der(context(3), der(TAG.octets, mic)),
    ),
  );
}

/** Throws `Malformed`. */
export function readAnswer(bytes: Uint8Array): SpnegoAnswer {
  const fields = new Map(
    readDer(readDerAs(TAG.sequence, readDerAs(context(1), bytes))).map(({ tag, value }) => [tag, value]),
  );
  const field = (number: number, tag: number): Uint8Array | undefined => {
    const value = fields.get(context(number));
    return value && readDerAs(tag, value);
  };
  const state = field(0, TAG.enumerated);
  if (state && (state.length !== 1 || state[0]! >= STATES.length)) throw new Malformed('a SPNEGO state');
  return {
    state: state && STATES[state[0]!],
    mechanism: field(1, TAG.oid),
    token: field(2, TAG.octets),
    mic: field(3, TAG.octets),
  };
}
