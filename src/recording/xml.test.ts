/** No name survives, in whatever way it is written; and everything that is not a name does. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { recordingsFolder } from '../../test/requires.ts';
import { parseXml, type XmlElement } from '../winrm/index.ts';
import { encodings } from './leak-check.ts';
import { Pseudonyms } from './pseudonyms.ts';
import { STRUCTURE_WORDS } from './values.ts';
import { rewriteXml } from './xml.ts';

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const numeric = (text: string): string =>
  Array.from(text, (char) => `&#x${char.codePointAt(0)!.toString(16)};`).join('');
const byteElements = (text: string): string =>
  Array.from(Buffer.from(text, 'utf16le'), (byte) => `<p:Bytes>${byte}</p:Bytes>`).join('');

/** A name at every place and in every way a host, or a provider, was seen or is able to write one. */
function answer(name: string, guid: string, ip: string): string {
  const path = `C:\\VMs\\${name}\\${name}.vhdx`;
  const objectPath = `\\\\${name}\\root\\virtualization\\v2:Msvm_X.InstanceID="Microsoft:${guid}\\\\0\\\\L"`;
  const cimXml =
    `<INSTANCE CLASSNAME="Msvm_X"><PROPERTY NAME="ElementName" TYPE="string"><VALUE>${escape(name)}</VALUE></PROPERTY>` +
    `<PROPERTY.ARRAY NAME="HostResource" TYPE="string"><VALUE.ARRAY><VALUE>${escape(path)}</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>` +
    `<PROPERTY NAME="Inner" TYPE="string"><VALUE>${escape(`<A><B>${escape(name)}</B></A>`)}</VALUE></PROPERTY></INSTANCE>`;
  return (
    `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_X">` +
    `<s:Header><a:To>http://${ip}:5985/wsman</a:To></s:Header><s:Body><p:Msvm_X xsi:type="p:Msvm_X_Type">` +
    `<p:ElementName>${escape(name)}</p:ElementName><p:Notes>${numeric(name)}</p:Notes>` +
    `<p:Caption>${escape(name.toUpperCase())}</p:Caption><p:Description>(${escape(name.toLowerCase())})</p:Description>` +
    `<p:Name>${guid.toUpperCase()}</p:Name><p:BIOSGUID>{${guid}}</p:BIOSGUID><p:RctId>rctX:${guid.replaceAll('-', ':')}:00000001</p:RctId>` +
    `<p:Plain>${guid.replaceAll('-', '')}</p:Plain><p:HostResource>${escape(path)}</p:HostResource>` +
    `<p:Parent>${escape(objectPath)}</p:Parent><p:Address>00155D0A0B0C</p:Address><p:Mac>00-15-5d-0a-0b-0c</p:Mac>` +
    `<p:Unknown>${Buffer.from(name).toString('base64')}</p:Unknown>` +
    `<p:Unknown2>x${Buffer.from(name, 'utf16le').toString('base64')}</p:Unknown2><p:Unknown3>${Buffer.from(name).toString('hex')}</p:Unknown3>` +
    `${byteElements(name)}<p:Embedded>${escape(cimXml)}</p:Embedded><p:Data><![CDATA[${cimXml}]]></p:Data>` +
    `<w:Selector Name="InstanceID">Microsoft:${guid}\\${ip}</w:Selector><!-- ${escape(name).replaceAll('-', '')} -->` +
    `<f:WSManFault Code="5" Machine="${escape(name)}"><f:Message>No ${escape(name)} at ${ip}, fe80::1234:5678</f:Message></f:WSManFault>` +
    '</p:Msvm_X></s:Body></s:Envelope>'
  );
}

const template = answer('', '', '').toLowerCase();
const words = (name: string): string[] =>
  name
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
/** What can be told from the frame of the message and from Windows' own words. */
const telling = (name: string): boolean =>
  words(name).some((each) => !/^([dl]|\d{1,3})$/.test(each)) &&
  !template.includes(name.toLowerCase()) &&
  !words(name).every((each) => STRUCTURE_WORDS.has(each));

const plainName = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9 _-]{4,20}$/);
const anyName = fc
  .string({ unit: 'grapheme', minLength: 5, maxLength: 20 })
  // What XML can not carry.
  .map((text) => text.replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|\]\]>/gu, 'x'));
const cases = fc.record({
  name: fc.oneof(plainName, anyName).filter((name) => name.trim().length >= 5 && telling(name)),
  guid: fc.uuid(),
  ip: fc.ipV4(),
});

function anonymised(xml: string): string {
  const pseudonyms = new Pseudonyms();
  rewriteXml(xml, pseudonyms);
  pseudonyms.settle();
  return rewriteXml(xml, pseudonyms);
}

test('no name, GUID or address is left, in any case, encoding or wrapping', () => {
  fc.assert(
    fc.property(cases, ({ name, guid, ip }) => {
      const rewritten = anonymised(answer(name, guid, ip));
      const folded = rewritten.toLowerCase();
      for (const text of [
        name,
        escape(name),
        name.trim(),
        guid,
        guid.replaceAll('-', ':'),
        guid.replaceAll('-', ''),
        ip,
      ]) {
        assert.ok(!folded.includes(text.toLowerCase()), `${JSON.stringify(text)} in ${rewritten}`);
      }
      for (const encoded of [...encodings(name), numeric(name), byteElements(name)]) {
        // Bytes that are digits only, in a property nobody knows to hold text, are a number like any other.
        if (/^\d+$/.test(encoded)) continue;

        assert.ok(!rewritten.includes(encoded), `${JSON.stringify(name)} as ${encoded} in ${rewritten}`);
      }
      assert.doesNotMatch(folded, /00155d0a0b0c|00-15-5d-0a-0b-0c|fe80::1234/);
    }),
    { numRuns: 2000 },
  );
});

/** Everything but the values: names of elements and attributes, in their order and depth. */
function shapeOf(element: XmlElement): unknown {
  return [element.uri, element.name, Object.keys(element.attributes), element.children.map(shapeOf)];
}

const folder = recordingsFolder();
if (folder !== undefined) {
  for (const name of globSync('**/*.xml', { cwd: folder })) {
    test(`${name}: its shape, numbers and moments stay`, () => {
      const xml = readFileSync(join(folder, name), 'utf8').replaceAll(/<!--[^]*?-->\n?/g, '');
      const rewritten = anonymised(xml);
      assert.deepEqual(shapeOf(parseXml(rewritten)), shapeOf(parseXml(xml)));
      const kept = (text: string): string[] =>
        text.match(
          /<p:(EnabledState|JobState|ErrorCode|OperationalStatus|OnTimeInMilliseconds)>[^<]*|<cim:\w+>[^<]*|xsi:nil="true"/g,
        ) ?? [];
      assert.deepEqual(kept(rewritten), kept(xml));
      assert.doesNotMatch(rewritten, /scrubbed-\d/, 'placeholders of other recorders are names to us');
    });
  }
}

test('what is no XML gives nothing away either', () => {
  const secret = 'payrolldatabase';
  for (const broken of [
    `<a ${secret}`,
    `<a><b>${secret}`,
    `<a x='${secret}>`,
    `${secret}</a>`,
    `<![CDATA[${secret}`,
    `<!-- ${secret}`,
    `<a>&${secret};</a>`,
  ]) {
    assert.ok(!anonymised(broken).includes(secret), anonymised(broken));
  }
});
