/** The channel binding as NTLM sends it. MS-NLMP 2.2.2.1, MsvAvChannelBindings. */
import { md5 } from './keys.ts';

/** MD5 over a gss_channel_bindings structure: four empty address fields, then the length and bytes of the binding. */
export function bindingHash(applicationData: Uint8Array): Uint8Array {
  const head = new Uint8Array(20);
  new DataView(head.buffer).setUint32(16, applicationData.length, true);
  return md5(head, applicationData);
}
