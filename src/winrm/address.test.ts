import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from './address.ts';

test('port and path default to those of WinRM; a port written is kept, even the scheme’s own', () => {
  const short = (url: string): string => parseAddress(url).text;
  assert.equal(short('http://hv1'), 'http://hv1:5985/wsman');
  assert.equal(short('https://hv1.example/'), 'https://hv1.example:5986/wsman');
  assert.equal(short('http://hv1:80/wsman'), 'http://hv1:80/wsman');
  assert.equal(short('https://hv1:443'), 'https://hv1:443/wsman');
  assert.equal(short('http://[fe80::1]:5985/x'), 'http://[fe80::1]:5985/x');
  assert.equal(parseAddress('http://[fe80::1]').host, 'fe80::1');
});

test('what is no such address is refused without being repeated', () => {
  for (const url of ['', 'hv1', 'ftp://hv1', 'http://user:secret@hv1/wsman', 'http://hv1:99999']) {
    assert.throws(
      () => parseAddress(url),
      (error: Error & { code: string }) =>
        error.code === 'WINRM_BAD_ADDRESS' && !error.message.includes('secret'),
    );
  }
});
