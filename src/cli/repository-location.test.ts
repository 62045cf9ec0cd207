import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { parseLocation } from './repository-location.ts';

test('folders and addresses mean what they say', () => {
  for (const [text, expected] of [
    ['/backup/repo', { kind: 'folder', path: '/backup/repo' }],
    [String.raw`C:\backup`, { kind: 'folder', path: String.raw`C:\backup` }],
    ['s3://vault', { kind: 's3', bucket: 'vault', prefix: '' }],
    ['s3://vault/', { kind: 's3', bucket: 'vault', prefix: '' }],
    [
      's3://vault/site-a/hv?region=eu-central-1',
      { kind: 's3', bucket: 'vault', prefix: 'site-a/hv/', region: 'eu-central-1' },
    ],
    [
      's3://vault/hv/?endpoint=https://s3.example.com:8443',
      { kind: 's3', bucket: 'vault', prefix: 'hv/', endpoint: 'https://s3.example.com:8443' },
    ],
    ['sftp://me@nas/backup/', { kind: 'sftp', host: 'nas', port: 22, user: 'me', path: '/backup' }],
    [
      'sftp://a%5Cb@[::1]:2022/x%20y',
      { kind: 'sftp', host: '::1', port: 2022, user: String.raw`a\b`, path: '/x y' },
    ],
  ] as const) {
    assert.deepEqual(parseLocation(text), expected, text);
  }
});

test('an address that means nothing is refused, and a password in it is not repeated', () => {
  for (const text of [
    'http://example.com/repo',
    'S3:///x',
    's3://key:hunter2@vault/x',
    's3://key@vault/x',
    's3://vault/x?endpont=https://s3.example.com',
    's3://vault/x?endpoint=s3.example.com',
    's3://vault/x?endpoint=https://a:hunter2@s3.example.com',
    's3://vault/a b',
    's3://vault/../x#y',
    'sftp://nas/backup',
    'sftp://me:hunter2@nas/backup',
    'sftp://me@nas',
    'sftp://me@nas/backup?x=y',
  ]) {
    assert.throws(
      () => parseLocation(text),
      (error: Error) => hasCode(error, 'CLI_LOCATION_INVALID') && !error.message.includes('hunter2'),
      text,
    );
  }
});
