import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { freePort } from '../../test/interop/local-server.fixture.ts';
import { waitUntilHealthy } from './health.ts';
import type { Hypervisor, MachineState, OwnedMachine } from './port.ts';
import { tinyMachine } from './tiny-guest.fixture.ts';

const machine: OwnedMachine = tinyMachine('/nowhere');

/** It only tells a state, each time the next one; the last stays. */
function telling(...states: MachineState[]): Hypervisor {
  const state = async (): Promise<MachineState> => (states.length > 1 ? states.shift()! : states[0]!);
  return { state } as unknown as Hypervisor;
}

test('a port that answers is the sign of health: refused at first, then heard', async () => {
  const port = await freePort();
  const probe = { kind: 'address', host: '127.0.0.1', port } as const;
  const waiting = waitUntilHealthy(telling('running'), machine, { probe, limitMs: 60_000 });
  await using server = createServer((socket) => socket.destroy());
  setTimeout(() => server.listen(port, '127.0.0.1'), 300);
  const { healthy, seconds } = await waiting;
  assert.ok(healthy && seconds > 0.2, `${healthy} after ${seconds} s`);
});

test('one that nobody answers on is waited for until the time is over; a machine that ends is told of at once', async () => {
  const probe = { kind: 'address', host: '127.0.0.1', port: await freePort() } as const;
  const late = await waitUntilHealthy(telling('running'), machine, { probe, limitMs: 500 });
  assert.deepEqual([late.healthy, 'reason' in late && late.reason], [false, 'time-limit']);
  const crashed = await waitUntilHealthy(telling('running', 'crashed'), machine, { probe, limitMs: 60_000 });
  assert.deepEqual([crashed.healthy, 'reason' in crashed && crashed.reason], [false, 'crashed']);
});

test('who waits for a name that nobody has can stop waiting', async () => {
  const probe = { kind: 'address', host: 'nobody.invalid', port: 22 } as const;
  const signal = AbortSignal.timeout(300);
  const waiting = waitUntilHealthy(telling('running'), machine, { probe, limitMs: 60_000, signal });
  await assert.rejects(waiting, { name: /^(Timeout|Abort)Error$/ });
});
