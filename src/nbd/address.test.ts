import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { parseNbdAddress } from './address.ts';

test('addresses of the URI specification are read', () => {
  const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port }) as const;
  const cases = [
    ['nbd://nas', tcp('nas', 10_809), '', false],
    ['nbd://nas:10810/disk0', tcp('nas', 10_810), 'disk0', false],
    ['nbds://nas:80/a/b', tcp('nas', 80), 'a/b', true],
    ['nbd://nas:80', tcp('nas', 80), '', false],
    ['nbd://[::1]:9/x%20%2Fy', tcp('::1', 9), 'x /y', false],
    ['nbd+unix:///?socket=/run/a b.sock', { kind: 'unix', path: '/run/a b.sock' }, '', false],
    ['nbd+unix://?socket=%2Frun%2Fx', { kind: 'unix', path: '/run/x' }, '', false],
    ['nbds+unix:///disk%C3%A9?socket=/x', { kind: 'unix', path: '/x' }, 'diské', true],
  ] as const;
  for (const [address, place, exportName, tls] of cases)
    assert.deepEqual(parseNbdAddress(address), { place, exportName, tls }, address);
});

test('what is no address is refused with its reason', () => {
  for (const address of [
    '',
    'http://nas/disk',
    'nbd:nas:10809',
    'nbd://',
    'nbd:///disk',
    'nbd://nas:99999/',
    'nbd://user:secret@nas/disk',
    'nbd+unix:///disk',
    'nbd://nas/%zz',
  ])
    assert.throws(
      () => parseNbdAddress(address),
      (error) => hasCode(error, 'NBD_ADDRESS_INVALID'),
      address,
    );
});
