/** The emulated log-on of Windows: test/interop/secur32.c, compiled for the test and called by the code that calls secur32.dll. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { openSspi, type SspiLibrary } from '../../src/auth/sspi-library.ts';
import { requiresKerberos } from './kerberos.fixture.ts';

/** `{ skip }` where it can not be compiled or has nobody to talk to. */
export function requiresSecur32(unproved: string, ...more: string[]): { skip?: string } {
  const needs = requiresKerberos(unproved, 'gcc', ...more);
  if (needs.skip !== undefined || existsSync('/usr/include/gssapi/gssapi_ext.h')) return needs;
  return { skip: `libkrb5-dev is missing; not proved: ${unproved}` };
}

export interface Secur32 extends Disposable {
  readonly functions: SspiLibrary;
  /** Credentials, contexts and buffers that nobody has given back. */
  held(): number[];
}

export async function buildSecur32(): Promise<Secur32> {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-secur32-'));
  const file = join(folder, 'secur32.so');
  const source = join(import.meta.dirname, 'secur32.c');
  execFileSync('gcc', ['-Wall', '-Werror', '-O1', '-shared', '-fPIC', '-o', file, source, '-lgssapi_krb5']);
  const count = koffi.load(file).func('void EmulationLive(_Out_ int32_t *counts)');
  return {
    functions: await openSspi(file),
    held() {
      const counts = new Int32Array(3);
      count(counts);
      return [...counts];
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
