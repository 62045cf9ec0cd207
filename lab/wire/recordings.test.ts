import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingsFolder } from '../../test/requires.ts';
import type { LabClass, LabInstance, LabProperty, LabScalar, LabValue } from '../cim.ts';
import { parseIsoDatetime, parseIsoInterval } from './datetime.ts';
import { envelope, faultEnvelope } from './envelope.ts';
import { instanceXml } from './instance.ts';
import { NS, parseClassUri } from './names.ts';
import { readReference } from './parameters.ts';
import { instancesIn } from './shape.fixture.ts';
import { SoapFault } from './soap-fault.ts';
import { REAL_HOST } from './traits.ts';
import { all, text } from './wire.fixture.ts';
import { parseXml, type XmlElement } from './xml-reader.ts';

/** Our moments have milliseconds, those of a host microseconds: the recordings are compared to the millisecond. */
const toMilliseconds = (xml: string): string =>
  xml.replace(/(\.\d{3})\d{1,3}Z/g, '$1Z').replace(/\.?0+Z/g, 'Z');

const recordings = recordingsFolder();
if (recordings !== undefined) {
  const read = (file: string): string =>
    readFileSync(join(recordings, file), 'utf8').replace(/^<!--[\s\S]*?-->\n/, '');
  const files = globSync('go-wsman/*.xml', { cwd: recordings }).filter(
    (file) => instancesIn(parseXml(read(file))).length > 0,
  );

  test('each recorded instance, read into the model and written by the wire, is the recorded text again', () => {
    for (const file of files) {
      const recorded = read(file);
      const [element] = instancesIn(parseXml(recorded));
      const { cls, instance } = modelled(element!);
      const namespace = parseClassUri(element!.uri)!.namespace;
      const xml = instanceXml(instance, { classes: new Map([[cls.name, cls]]), hostName: 'HV1', namespace });
      assert.ok(toMilliseconds(recorded).includes(toMilliseconds(xml)), `${file}\n${xml}`);
    }
    assert.ok(files.length >= 18);
  });

  test('envelopes of Get, Enumerate and Pull are the recorded ones up to ids', () => {
    for (const [kind, file] of [
      ['transfer', 'go-wsman/get_response_storagejob_running.xml'],
      ['enumeration', 'go-wsman/recorded_computersystem_enumerate.xml'],
      ['enumeration', 'go-wsman/recorded_computersystem_pull_2.xml'],
    ] as const) {
      const recorded = read(file);
      const body = /<s:Body>([\s\S]*)<\/s:Body>/.exec(recorded)![1]!;
      const [action, relatesTo] = ['Action', 'RelatesTo'].map((name) => text(parseXml(recorded), name)!);
      const ours = envelope(kind, { language: 'ja-JP', action: action!, relatesTo, body });
      assert.equal(withoutIds(ours), withoutIds(recorded), file);
    }
  });

  test('faults have the elements of the recorded ones in their order: not found (omi), filter (WinRb), timeout (pypsrp)', () => {
    const status = { operation: 'GetObject', parameterInfo: 'x', statusCode: null };
    for (const [file, fault] of [
      ['omi/fault_wmi_get_notfound_2012r2.xml', new SoapFault('notFound', '', status)],
      ['WinRb-WinRM/soap_fault_v2.xml', new SoapFault('cannotProcessFilter', '', status)],
      ['pypsrp/fault_timedout.response.xml', new SoapFault('timedOut')],
      ['pypsrp/fault_invalid_header_timeout.response.xml', new SoapFault('invalidHeader')],
    ] as const) {
      const context = { traits: REAL_HOST, relatesTo: 'uuid:1', addressed: 'a', hostName: 'b' };
      const [ours, recorded] = [faultEnvelope(fault, context), read(file)].map((xml) => parseXml(xml));
      assert.deepEqual(outline(ours!), outline(recorded!), file);
    }
  });
}

function withoutIds(xml: string): string {
  return xml.replace(/<a:MessageID>[^<]*/, '<a:MessageID>');
}

/** Names and numbers that programs go by, without texts and machines; __ExtendedStatus has two namespaces in the wild. */
function outline(element: XmlElement): unknown {
  const value = /^(Value|Action|FaultDetail)$/.test(element.local) ? element.text : '';
  const code = element.attribute('Code') ?? '';
  if (element.local === '__ExtendedStatus') return ['__ExtendedStatus', all(element, 'StatusCode').length];
  return [element.uri, element.local, value, code, element.children.map(outline)];
}

/** A class and an instance such that the wire has to write what was recorded. */
function modelled(element: XmlElement): { cls: LabClass; instance: LabInstance } {
  const properties: Record<string, LabProperty> = {};
  const values: Record<string, LabValue> = {};
  for (const [name, elements] of Map.groupBy(element.children, (child) => child.local)) {
    const scalars = elements.map(scalarOf);
    const array = elements.length > 1;
    properties[name] = { type: typeOf(elements[0]!), ...(array ? { array } : {}) };
    values[name] = array ? scalars : scalars[0]!;
  }
  const cls = { name: element.local, superclasses: [], properties, methods: {} };
  return { cls, instance: { className: element.local, properties: values } };
}

function typeOf(property: XmlElement): LabProperty['type'] {
  const [child] = property.children;
  if (!child) return 'string';
  return child.uri === NS.cim ? 'datetime' : 'reference';
}

function scalarOf(property: XmlElement): LabScalar {
  if (property.attribute('nil', NS.xsi) === 'true') return null;
  const [child] = property.children;
  if (!child) return property.text;
  if (child.uri !== NS.cim) return readReference(property);
  return (child.local === 'Datetime' ? parseIsoDatetime(child.text) : parseIsoInterval(child.text))!;
}
