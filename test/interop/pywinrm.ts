/** Runs pywinrm, a WinRM client that knows nothing of this project, against a wire. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DEBIAN_PYTHON, requiresPython } from '../requires.ts';

export interface PywinrmAnswer {
  /** Name and ElementName of every Msvm_ComputerSystem. */
  readonly vms?: readonly (readonly [string, string])[];
  /** The Python exception, when it failed. */
  readonly error?: string;
  readonly text?: string;
}

export const needsPywinrm = requiresPython(
  ['winrm', 'requests_ntlm', 'ntlm_auth'],
  'an independent WinRM client understands the lab: NTLM, message encryption, Enumerate and Pull',
);

export async function listWithPywinrm(url: string, user: string, password: string): Promise<PywinrmAnswer> {
  const env = {
    ...process.env,
    OPENSSL_CONF: join(import.meta.dirname, 'pywinrm-legacy.cnf'),
    WIRE_USER: user,
    WIRE_PASSWORD: password,
  };
  const script = join(import.meta.dirname, 'pywinrm-client.py');
  const { stdout } = await promisify(execFile)(DEBIAN_PYTHON, [script, url], { env, timeout: 60_000 });
  return JSON.parse(stdout) as PywinrmAnswer;
}
