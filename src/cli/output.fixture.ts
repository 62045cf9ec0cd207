/** An Output over given streams. */
import { Sink } from './command-line.fixture.ts';
import type { OutputStream } from './io.ts';
import { Output } from './output.ts';
import { SecretLog } from './secret.ts';

export function outputTo(
  stderr: OutputStream,
  options: {
    stdout?: OutputStream;
    env?: Record<string, string>;
    events?: boolean;
    secrets?: SecretLog;
  } = {},
): Output {
  const { stdout = new Sink(), env = {}, events = false, secrets = new SecretLog() } = options;
  return new Output({ stdout, stderr, env, events, secrets, json: false });
}
