/**
 * The frame around sealed messages of WinRM, and the tokens in it. What is not what the host sealed is never opened; what a
 * host sealed, however senseless, is text or a fault.
 */
import assert from 'node:assert/strict';
import { joinWrapToken, splitWrapToken } from '../../src/auth/wrap-token.ts';
import { NtlmSeal } from '../../src/ntlm/index.ts';
import { decodeText } from '../../src/winrm/http/charset.ts';
import { readEncryptedBody, writeEncryptedBody } from '../../src/winrm/http/encrypted-body.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged } from './byte-damage.ts';
import { outcomeOf, type Attack, type Campaign } from './campaign.ts';
import { damagedXml, XML_BYTES_MAX } from './xml-damage.ts';

const KEY = Buffer.alloc(16, 0x33);
const ENVELOPE =
  '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>検証 &amp; --Encrypted Boundary--</s:Body></s:Envelope>';

export const sealedBodyCampaign: Campaign = {
  name: 'sealed bodies',
  allocationBytesMax: XML_BYTES_MAX,
  meets: ['read', 'WINRM_PROTOCOL_BROKEN', 'not opened'],
  start: (): Attack => (random) => {
    const [host, client] = [new NtlmSeal(KEY, 'server'), new NtlmSeal(KEY, 'client')];
    const isHostItself = random.chance(0.3);
    const plain = isHostItself ? damagedXml(ENVELOPE, random) : Buffer.from(ENVELOPE);
    const sealed = Buffer.from(writeEncryptedBody(host.seal(plain), 'Negotiate'));
    const frame = isHostItself ? otherCharset(sealed, random) : damagedFrame(sealed, random);
    let opened: Uint8Array | undefined;
    const outcome = outcomeOf(() => {
      const body = readEncryptedBody(frame);
      opened = client.unseal(body);
      if (opened) decodeText(opened, body.charset);
    });
    if (!opened) return outcome === 'read' ? 'not opened' : outcome;
    assert.deepEqual(Buffer.from(opened), plain, 'what was opened is what the host sealed');
    return outcome;
  },
};

function otherCharset(frame: Buffer, random: Random): Buffer {
  const charsets = ['UTF-8', 'utf-16', 'UTF-16LE', 'us-ascii', 'x', '', 'utf-8;charset=utf-16', 'UTF-7'];
  return replaced(frame, /charset=[\w-]+/, `charset=${charsets[random.below(charsets.length)]}`);
}

const LINES: readonly (readonly [RegExp, readonly string[]])[] = [
  [
    /Length=\d+/,
    [
      'Length=0',
      'Length=1',
      'Length=9999999999',
      'Length=-1',
      'Length=',
      'Length=1e3',
      'length=135',
      'Length=00000000135',
    ],
  ],
  [
    /--Encrypted Boundary\r\n/,
    ['', '--\r\n', '-- Encrypted Boundary\r\n', '--Encrypted Boundary\n', '\r\n\r\n'],
  ],
  [
    /\tContent-Type: [^\r]*\r\n/,
    ['', '\tContent-Type: application/octet-stream\r\n', `\t${'x'.repeat(600)}\r\n`, '\t\r\n'.repeat(9)],
  ],
  [
    /OriginalContent: [^;]*/,
    ['', 'OriginalContent:', `OriginalContent: ${';'.repeat(400)}`, 'originalcontent: type=x'],
  ],
  [
    /--Encrypted Boundary--\r\n$/,
    ['', '--Encrypted Boundary--', '--Encrypted Boundary', '--Encrypted Boundary--\r\nmore'],
  ],
];

function damagedFrame(frame: Buffer, random: Random): Buffer {
  if (random.chance(0.4)) return damaged(frame, random);
  const [pattern, texts] = LINES[random.below(LINES.length)]!;
  const changed = replaced(frame, pattern, texts[random.below(texts.length)]!);
  return random.chance(0.2) ? damaged(changed, random) : changed;
}

function replaced(frame: Buffer, pattern: RegExp, text: string): Buffer {
  return Buffer.from(
    frame.toString('latin1').replace(pattern, () => text),
    'latin1',
  );
}

/** RFC 4121: whatever a token says of itself, its parts are parts of it. */
export const wrapTokenCampaign: Campaign = {
  name: 'Kerberos wrap tokens',
  allocationBytesMax: 64 * 1024,
  meets: ['read', 'not split'],
  start: (): Attack => (random) => {
    const message = random.below(200);
    const good = Buffer.concat([
      Buffer.from('050406ff0000000000000000', 'hex'),
      random.bytes(4 + 16 + message + 28),
    ]);
    const token = random.chance(0.2) ? good : damaged(good, random);
    const split = splitWrapToken(token, random.chance(0.8) ? message : random.below(2 ** 31));
    if (!split) return 'not split';
    const { signature, ciphertext } = split;
    assert.equal(signature.length + ciphertext.length, token.length, 'nothing is lost');
    assert.equal(signature.length - 32, Buffer.from(signature).readUInt16BE(6), 'turned by what it says');
    assert.equal(joinWrapToken(split).length, token.length);
    return 'read';
  },
};
