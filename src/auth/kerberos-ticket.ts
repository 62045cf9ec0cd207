/** Where the tickets of a log-on come from: the cache that `kinit` fills, a keytab, or a password. */
import { kerberosFaults } from './faults.ts';
import { bytes, KERBEROS_OID, type GssHandle, type GssLibrary } from './gss-library.ts';

export type TicketSource =
  | { readonly kind: 'cache' }
  | { readonly kind: 'keytab'; readonly file: string }
  | { readonly kind: 'password'; readonly password: () => Promise<string> };

/** 1.2.840.113554.1.2.2.1: a principal, written name@REALM. */
const PRINCIPAL_NAME = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01);
/** 1.2.840.113554.1.2.1.4: service@host. */
const HOST_SERVICE = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04);
const INITIATE = 1;
const FOREVER = 0xffff_ffff;
const KERBEROS_ONLY = { count: 1, elements: [{ length: KERBEROS_OID.length, elements: KERBEROS_OID }] };

/** May ask the DNS for the full name of the host. */
export function importService(gss: GssLibrary, service: string, host: string): Promise<GssHandle> {
  return importName(gss, `${service}@${host}`, HOST_SERVICE);
}

/** The credential of `principal`, of whoever has filled the cache when it is `undefined`. Only a password or keytab is checked with the KDC, and that at the latest by the log-on. */
export async function acquire(
  gss: GssLibrary,
  principal: string | undefined,
  source: TicketSource,
): Promise<GssHandle> {
  if (principal === undefined) return await acquireAs(gss, null, '', { kind: 'cache' });
  const name = await importName(gss, principal, PRINCIPAL_NAME);
  try {
    return await acquireAs(gss, name, principal, source);
  } finally {
    gss.call('releaseName', [name]);
  }
}

async function importName(gss: GssLibrary, text: string, type: Uint8Array): Promise<GssHandle> {
  const out: GssHandle[] = [null];
  await gss.callSlowly('importName', bytes(Buffer.from(text)), { length: type.length, elements: type }, out);
  return out[0];
}

async function acquireAs(
  gss: GssLibrary,
  name: GssHandle,
  principal: string,
  source: TicketSource,
): Promise<GssHandle> {
  const out: GssHandle[] = [null];
  const wanted = [FOREVER, KERBEROS_ONLY, INITIATE] as const;
  if (source.kind === 'cache') {
    await gss.callSlowly('acquire', name, ...wanted, out, null, null);
  } else if (source.kind === 'keytab') {
    await gss.callSlowly('acquireFrom', name, ...wanted, storeOf(principal, source.file), out, null, null);
  } else {
    const password = Buffer.from(await source.password());
    if (password.length === 0) throw kerberosFaults.passwordRefused({ user: principal });
    await gss.callSlowly('acquireWithPassword', name, bytes(password), ...wanted, out, null, null);
    password.fill(0);
  }
  return out[0];
}

/**
 * Tickets got with a keytab stay in a cache in memory, which the library renews from the keytab; the user's own cache is
 * left alone.
 */
function storeOf(principal: string, keytab: string): object {
  const elements = [
    { key: 'client_keytab', value: `FILE:${keytab}` },
    { key: 'ccache', value: `MEMORY:hvlift-${Buffer.from(`${principal} ${keytab}`).toString('hex')}` },
  ];
  return { count: elements.length, elements };
}
