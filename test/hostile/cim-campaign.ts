/** The CIM codec: hostile values of every type, alone, repeated and missing; dates, paths, references, embedded instances. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { parseDatetime } from '../../src/winrm/cim/datetime.ts';
import { decodeReference } from '../../src/winrm/cim/reference.ts';
import {
  cimClass,
  decodeEmbedded,
  decodeInstance,
  encodeEmbedded,
  formatObjectPath,
  parseObjectPath,
  type CimDatetime,
  type XmlElement,
} from '../../src/winrm/index.ts';
import { NS } from '../../src/winrm/soap/names.ts';
import type { Random } from '../../lab/model/random.ts';
import { outcomeOf, type Attack, type Campaign } from './campaign.ts';
import { damagedXml, hostileText, XML_BYTES_MAX } from './xml-damage.ts';

export const cimCampaign: Campaign = {
  name: 'CIM codec',
  allocationBytesMax: XML_BYTES_MAX,
  meets: ['read', 'WINRM_PROTOCOL_BROKEN', 'WINRM_BAD_EMBEDDED', 'WINRM_BAD_OBJECT_PATH'],
  start: (): Attack => (random) => ATTACKS[random.below(ATTACKS.length)]!(random),
};

const TYPES = [
  'boolean',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'sint8',
  'sint16',
  'sint32',
  'sint64',
  'real32',
  'real64',
  'string',
  'datetime',
  'ref',
  'embedded',
] as const;
type Type = (typeof TYPES)[number];

const Everything = cimClass('Everything', {
  properties: {
    ...(Object.fromEntries(TYPES.map((type) => [type, type])) as Record<Type, Type>),
    ...(Object.fromEntries(TYPES.map((type) => [`${type}s`, `${type}[]`])) as Record<
      `${Type}s`,
      `${Type}[]`
    >),
    key: 'string key',
  },
});

const ATTACKS: readonly ((random: Random) => string)[] = [
  instances,
  instances,
  instances,
  embedded,
  dates,
  paths,
  references,
];

const element = (name: string, text: string, more: Partial<XmlElement> = {}): XmlElement => ({
  uri: 'p',
  name,
  attributes: {},
  children: [],
  text,
  ...more,
});
const NIL = { attributes: { [`${NS.xsi} nil`]: 'true' } };

function instances(random: Random): string {
  const properties = Array.from({ length: 1 + random.below(5) }, () => {
    const name = `${TYPES[random.below(TYPES.length)]!}${random.chance(0.5) ? 's' : ''}`;
    return element(name, textFor(random), random.chance(0.05) ? NIL : { children: childrenFor(random) });
  });
  if (random.chance(0.97)) properties.push(element('key', hostileText(random)));
  return outcomeOf(() => {
    const values = decodeInstance(Everything, element('Everything', '', { children: properties }));
    for (const type of TYPES) {
      assert.ok(values[type] === null || isOf(type, values[type]), `${type}: ${inspect(values[type])}`);
      assert.ok(
        values[`${type}s`].every((value) => isOf(type, value)),
        `${type}[]`,
      );
    }
  });
}

/** What each type promises to those who read it. */
function isOf(type: Type, value: unknown): boolean {
  const [, sign, bits] = /^([us])int(\d+)$/.exec(type) ?? [];
  if (bits !== undefined) {
    const [low, high] =
      sign === 'u'
        ? [0n, 2n ** BigInt(bits)]
        : [-(2n ** BigInt(Number(bits) - 1)), 2n ** BigInt(Number(bits) - 1)];
    if (typeof value !== (bits === '64' ? 'bigint' : 'number')) return false;
    return BigInt(value as number) >= low! && BigInt(value as number) < high!;
  }
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'string') return typeof value === 'string';
  if (type.startsWith('real')) return typeof value === 'number' && Number.isFinite(value);
  if (type === 'datetime') return isMoment(value as CimDatetime);
  return typeof (value as { className: unknown }).className === 'string';
}

function isMoment({ date, intervalSeconds }: CimDatetime): boolean {
  return date ? !Number.isNaN(date.getTime()) : Number.isFinite(intervalSeconds) && intervalSeconds! >= 0;
}

function textFor(random: Random): string {
  return random.chance(0.5) ? hostileText(random) : String(random.below(2 ** 34) - random.below(300));
}

function childrenFor(random: Random): XmlElement[] {
  if (random.chance(0.8)) return [];
  const uri = random.chance(0.5) ? NS.cim : NS.addressing;
  return [element(random.chance(0.5) ? 'Datetime' : 'EndpointReference', hostileText(random), { uri })];
}

const INSTANCE =
  '<INSTANCE CLASSNAME="Msvm_VirtualHardDiskSettingData"><QUALIFIER NAME="q"/>' +
  TYPES.slice(0, 13)
    .map((type) => `<PROPERTY NAME="P${type}" TYPE="${type}"><VALUE>1</VALUE></PROPERTY>`)
    .join('') +
  '<PROPERTY.ARRAY NAME="Host" TYPE="string"><VALUE.ARRAY><VALUE>C:\\a</VALUE><VALUE>b</VALUE></VALUE.ARRAY></PROPERTY.ARRAY></INSTANCE>';

/** What was read can be written again and says the same. */
function embedded(random: Random): string {
  const text = damagedXml(
    INSTANCE.replace('"datetime"><VALUE>1', '"datetime"><VALUE>20260101000000.000000+000'),
    random,
  ).toString();
  return outcomeOf(() => {
    const read = decodeEmbedded(text);
    assert.deepEqual(decodeEmbedded(encodeEmbedded(read)).properties, withoutNulls(read.properties));
  });
}

function withoutNulls(properties: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== null));
}

function dates(random: Random): string {
  const text = random.chance(0.5)
    ? digits('20260729141059.467886+120', random)
    : digits('P10DT2H33M1.00417S', random);
  const value = parseDatetime(random.chance(0.2) ? hostileText(random) : text);
  if (value) assert.ok(isMoment(value), text);
  return value === undefined ? 'no datetime' : 'read';
}

function digits(text: string, random: Random): string {
  return text.replace(/\d/g, (digit) => (random.chance(0.2) ? '9*+-0.'[random.below(6)]! : digit));
}

/** A path that was read is the one that is written. */
function paths(random: Random): string {
  const parts = [
    '\\\\HOST\\root\\v2:',
    'Msvm_X',
    '.',
    'Name',
    '=',
    '"a\\\\b"',
    "'c'",
    ',',
    '5',
    '=@',
    hostileText(random),
  ];
  const text = Array.from({ length: 1 + random.below(9) }, (_, i) =>
    random.chance(0.6) ? parts[i] : parts[random.below(parts.length)],
  ).join('');
  return outcomeOf(() => {
    const path = parseObjectPath(text);
    assert.deepEqual(parseObjectPath(formatObjectPath(path)), path);
  });
}

function references(random: Random): string {
  const selectors = Array.from({ length: random.below(4) }, () =>
    element('Selector', hostileText(random), {
      uri: NS.wsman,
      attributes: { Name: hostileText(random) },
      children: childrenFor(random),
    }),
  );
  const parameters = [
    element('ResourceURI', random.chance(0.5) ? 'http://x/v2/Msvm_X' : hostileText(random), {
      uri: NS.wsman,
    }),
    element('SelectorSet', '', { uri: NS.wsman, children: selectors }),
  ].filter(() => random.chance(0.9));
  const inner = element('ReferenceParameters', '', { uri: NS.addressing, children: parameters });
  return outcomeOf(() =>
    decodeReference(
      element('AffectedElement', hostileText(random), random.chance(0.9) ? { children: [inner] } : {}),
    ),
  );
}
