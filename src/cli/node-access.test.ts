import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostAccess } from './engine.ts';
import { nodeAccess } from './node-access.ts';

const access = (url: string, more: Partial<HostAccess> = {}): HostAccess => ({
  name: 'cl',
  url,
  user: 'EXAMPLE\\backup',
  password: () => Promise.reject(new Error('not asked for')),
  files: { kind: 'smb', mappings: [] },
  viaSsh: false,
  ...more,
});
const FACTS = { name: 'CL01', fqdn: 'CL01.lab.example', nodes: ['NODE1', 'NODE2'] };

const URLS: Readonly<Record<string, readonly [from: string, to: string]>> = {
  'the domain of the address': ['http://cl01.example.com:5985/wsman', 'http://NODE2.example.com:5985/wsman'],
  'the domain the cluster tells, for a short name': [
    'http://cl01:5985/wsman',
    'http://NODE2.lab.example:5985/wsman',
  ],
  'and for an address': ['https://10.1.2.3:5986/wsman', 'https://NODE2.lab.example:5986/wsman'],
  'also of IPv6': ['http://[fd00::5]:80/wsman', 'http://NODE2.lab.example:80/wsman'],
};

for (const [what, [from, to]] of Object.entries(URLS)) {
  test(`a node is reached under its own name with ${what}`, () => {
    assert.equal(nodeAccess(access(from), FACTS, 'NODE2').url, to);
  });
}

test('an address that is configured for a node counts, however its name is written', () => {
  const nodes = { node2: 'http://192.0.2.7:5985/wsman' };
  const found = nodeAccess(access('http://cl01:5985/wsman', { nodes }), FACTS, 'NODE2');
  assert.equal(found.url, nodes.node2);
});

test('an SSH server on the node goes along, a jump host stays', () => {
  const ssh = (host: string) =>
    ({ host, port: 22, user: 'u', hostKey: { fingerprint: 'SHA256:x' }, usePassword: true }) as const;
  const reached = (host: string) =>
    nodeAccess(access('http://cl01:5985/wsman', { ssh: ssh(host) }), FACTS, 'NODE2').ssh!.host;
  assert.equal(reached('cl01'), 'node2.lab.example');
  assert.equal(reached('jump.example.com'), 'jump.example.com');
});
