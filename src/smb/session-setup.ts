/** SESSION_SETUP: the tokens of the log-on. MS-SMB2 2.2.5, 2.2.6. */
import { sessionSetupRequest, sessionSetupResponse, SESSION_FLAG, SIGNING } from './format.ts';
import { HEADER_BYTES, readBody, readSpan, writeBody } from './message.ts';

export interface SetupAnswer {
  readonly token: Uint8Array;
  /** The server let a stranger in: such a session has no keys. */
  readonly guest: boolean;
}

export function writeSessionSetup(token: Uint8Array): Uint8Array {
  return writeBody(
    sessionSetupRequest,
    {
      securityMode: SIGNING.enabled | SIGNING.required,
      securityOffset: HEADER_BYTES + sessionSetupRequest.size,
      securityLength: token.length,
    },
    [token],
  );
}

/** Throws `Malformed`. */
export function readSessionSetup(bytes: Uint8Array): SetupAnswer {
  const body = readBody(sessionSetupResponse, bytes);
  return {
    token: readSpan(bytes, body.securityOffset, body.securityLength, 'the log-on token'),
    guest: (body.sessionFlags & (SESSION_FLAG.guest | SESSION_FLAG.anonymous)) !== 0,
  };
}
