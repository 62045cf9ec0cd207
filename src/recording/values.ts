/**
 * Which part of a value may stay. What is not known to be harmless is replaced, so that a property nobody thought of is not the
 * one that gives a name away.
 *
 *   stays     numbers, truth values, moments, versions; class names and types that Windows brings; the words paths and keys are built of
 *   replaced  every other word, in any script; GUIDs, addresses of networks; long numbers in properties that hold text
 */
import { isIP, isIPv6 } from 'node:net';
import type { Pseudonyms } from './pseudonyms.ts';

const BOOLEAN = /^(true|false)$/i;
const NUMBER = /^-?\d{1,20}(\.\d{1,9})?$/;
const MOMENT =
  /^(\d{4}-\d\d-\d\dT[\d:.]{8,18}(Z|[+-]\d\d:\d\d)?|P(\d+D)?T[\dHMS.]{2,30}|\d{14}\.[\d*]{6}[+-]\d{3}|\d{14}\.[\d*]{6}:000)$/;
const VERSION = /^\d{1,5}(\.\d{1,6}){0,3}$/;
/** Names of namespaces, actions and classes of the standards and of Windows: nothing of a host is in them. */
const PUBLIC_URI = /^http:\/\/(schemas\.(xmlsoap|dmtf|microsoft)\.(org|com)|www\.w3\.org)\/[\w/.:#*-]*$/;
/** `Microsoft:Hyper-V:Virtual Hard Disk`, `Msvm_ComputerSystem`. */
const CONSTANT = /^(Microsoft:Hyper-V:[A-Za-z0-9 /:-]{1,60}|(Msvm|CIM|Win32|MSCluster)_[A-Za-z0-9]{1,60})$/;
const CONSTANT_PROPERTIES =
  /^(CreationClassName|SystemCreationClassName|Resource(Sub)?Type|VirtualSystem(Sub)?Type|OtherResourceType)$/;
/** Numbers in these are names, serials and the like. */
const TEXT_PROPERTY =
  /(Name|Caption|Description|Notes?|Text|Message|Address|Serial(Number)?|Asset\w*|Path|Root|File|Host|Owner|Contact|Identifiers?|Locator|Tag|Parent|Resource|Connection|Key|User|Domain|ID|Id|Guid|GUID)s?$/;
/** What is written in these is for people, so that every word of it goes. */
const PROSE_PROPERTY =
  /(ElementName|Caption|Description|Notes?|Text|Message|Descriptions|Contact|DisplayName|Reason)s?$/;

/** Of paths and keys. */
export const STRUCTURE_WORDS: ReadonlySet<string> = new Set(
  [
    'microsoft root virtualization v2 cimv2 mscluster default minimum maximum increment definition rctx uuid http https wsman',
    'instanceid creationclassname systemcreationclassname systemname deviceid name virtualsystemidentifier',
    'programdata windows system32 hyper virtual machines hard disks snapshots clusterstorage',
    'vhdx avhdx vhd avhd vhds avhdx iso vfd vmcx vmrs vmgs rct mrt dll 5985 5986',
  ]
    .join(' ')
    .split(' '),
);
const CLASS_NAME = /^(Msvm|CIM|Win32|MSCluster)_[A-Za-z0-9]+$/;

/** Everything but the signs of ASCII: letters and digits of any script, and whatever else people put into names. */
const WORD = /(?:\P{ASCII}|[0-9A-Za-z])+/gu;
const H4 = '[0-9a-f]{4}';
const PARTS = new RegExp(
  [
    `(?<guid>(?<![0-9a-z])[0-9a-f]{8}(?:-${H4}){3}-[0-9a-f]{12}(?![0-9a-z])|(?<![0-9a-z])[0-9a-f]{8}(?::${H4}){3}:[0-9a-f]{12}(?![0-9a-z])|(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z]))`,
    '(?<mac>(?<![0-9a-z])[0-9a-f]{2}(?:[-:][0-9a-f]{2}){5}(?![0-9a-z]))',
    String.raw`(?<ipv4>(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d]))`,
    '(?<ipv6>(?<![0-9a-z:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![0-9a-z:]))',
    '(?<cls>(?:Msvm|CIM|Win32|MSCluster)_[A-Za-z0-9]+)',
    `(?<word>${WORD.source})`,
  ].join('|'),
  'giu',
);

/** How much of a text may stay. */
type TextKind =
  /** For people: nothing. */
  | 'prose'
  /** Of a file: the letter of the drive, and folders Windows itself makes. */
  | 'path'
  /** What the host numbers its things by: also the numbers of controllers and slots. */
  | 'key';

/** `property` is the name the value has in its class, or that of its element. */
export function rewriteValue(property: string, value: string, pseudonyms: Pseudonyms): string {
  const kind = kindOf(property, value);
  return kind !== 'prose' && mayStay(property, value.trim()) ? value : rewriteText(value, pseudonyms, kind);
}

function kindOf(property: string, value: string): TextKind {
  if (PROSE_PROPERTY.test(property)) return 'prose';
  return /^([A-Za-z]:|\\\\)/.test(value) && !/\\root\\/i.test(value) ? 'path' : 'key';
}

/** Only what is between quotes is of the host; the rest of a query we wrote ourselves. */
export function rewriteQuery(query: string, pseudonyms: Pseudonyms): string {
  return query.replaceAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g, (quoted) => {
    const literal = quoted.slice(1, -1);
    return CONSTANT.test(literal)
      ? quoted
      : quoted[0]! + rewriteText(literal, pseudonyms, 'key') + quoted[0]!;
  });
}

function mayStay(property: string, value: string): boolean {
  if (value === '' || BOOLEAN.test(value) || MOMENT.test(value) || PUBLIC_URI.test(value)) return true;
  if (NUMBER.test(value)) return !TEXT_PROPERTY.test(property) || /^\d{1,3}$/.test(value);
  if (VERSION.test(value)) return property.endsWith('Version');
  return CONSTANT_PROPERTIES.test(property) && CONSTANT.test(value);
}

function rewriteText(text: string, pseudonyms: Pseudonyms, kind: TextKind): string {
  const drive = kind === 'path' ? /^[A-Za-z]:/.exec(text)?.[0] : undefined;
  if (drive !== undefined) return drive + rewriteText(text.slice(drive.length), pseudonyms, 'path');
  return text.replaceAll(PARTS, (part: string, ...rest: unknown[]) => {
    const { guid, mac, ipv4, ipv6, cls } = rest.at(-1) as Readonly<Record<string, string | undefined>>;
    if (guid !== undefined) return /[1-9a-f]/i.test(guid) ? pseudonyms.of('guid', guid) : guid;
    if (mac !== undefined) return pseudonyms.of('mac', mac);
    if (ipv4 !== undefined)
      return isIP(ipv4) === 4 ? pseudonyms.of('ipv4', ipv4) : words(part, pseudonyms, kind);
    if (ipv6 !== undefined) return isIPv6(ipv6) ? pseudonyms.of('ipv6', ipv6) : words(part, pseudonyms, kind);
    if (cls !== undefined && kind === 'key' && CLASS_NAME.test(cls)) return cls;
    return words(part, pseudonyms, kind);
  });
}

/** What looked like an address and is none, or a class name in prose, is words all the same. */
function words(part: string, pseudonyms: Pseudonyms, kind: TextKind): string {
  return part.replaceAll(WORD, (word) => (mayStayIn(kind, word) ? word : pseudonyms.of('word', word)));
}

function mayStayIn(kind: TextKind, word: string): boolean {
  if (kind === 'prose') return false;
  // `Microsoft:<GUID>\\0\\3\\L`: controller, slot, and whether it is the drive or the medium.
  return (kind === 'key' && /^([DL]|\d{1,3})$/.test(word)) || STRUCTURE_WORDS.has(word.toLowerCase());
}
