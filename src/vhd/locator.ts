/**
 * Who the parent is and where it may be, in the form a VHDX says it: what maps paths for one format maps them for both.
 *
 * Identity is the parent's `uniqueId`, the footer's, and stands in `parentLinkage`. The paths are hints: up to eight texts,
 * each under a code of its platform.
 */
import { win32 } from 'node:path';
import type { ParentLocator } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';
import { LOCATOR_COUNT, LOCATOR_TEXT_MAX, parentLocator, parse, type DynamicHeader } from './format.ts';

/** The first code that is there counts. Those of Virtual PC are obsolete, and those of the Mac name no Windows path. */
const RELATIVE_CODES = ['W2ru', 'Wi2r'] as const;
const ABSOLUTE_CODES = ['W2ku', 'Wi2k'] as const;

export async function readLocator(
  reader: RangeReader,
  header: DynamicHeader,
  path: string,
  options: CallOptions,
): Promise<ParentLocator> {
  const texts = await readTexts(reader, header, path, options);
  const first = (codes: readonly string[]): string | undefined =>
    codes.map((code) => texts.get(code)).find((text) => text !== undefined && text !== '');
  const relativePath = first(RELATIVE_CODES) ?? besideTheChild(header.parentName);
  const absolutePath = first(ABSOLUTE_CODES);
  return {
    parentLinkage: header.parentUniqueId,
    ...(relativePath === undefined ? {} : { relativePath }),
    ...(absolutePath === undefined ? {} : { absolutePath }),
  };
}

async function readTexts(
  reader: RangeReader,
  header: DynamicHeader,
  path: string,
  options: CallOptions,
): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (let index = 0; index < LOCATOR_COUNT; index += 1) {
    const entry = parse(parentLocator, header.parentLocators, path, index * parentLocator.size);
    const { platformCode: code, platformDataLength: length, platformDataOffset: offset } = entry;
    const known = [...RELATIVE_CODES, ...ABSOLUTE_CODES].some((each) => each === code);
    if (!known || length === 0 || texts.has(code)) continue;
    if (length > LOCATOR_TEXT_MAX || offset + length > reader.size) {
      throw vhdFaults.locatorPlace({ path, code, offset, length });
    }
    const bytes = Buffer.alloc(length);
    await reader.read(offset, bytes, options);
    texts.set(code, textOf(code, bytes));
  }
  return texts;
}

/** UTF-16LE; the obsolete codes stand before text of one byte a character as well. */
function textOf(code: string, bytes: Buffer): string {
  const wide = code.startsWith('W2') || bytes.subarray(0, 2).includes(0);
  return bytes.toString(wide ? 'utf16le' : 'latin1').split('\0')[0]!;
}

/** The name in the header, when no text gives a path: the parent may lie beside its child. */
function besideTheChild(parentName: Uint8Array): string | undefined {
  const name = Buffer.from(parentName).swap16().toString('utf16le').split('\0')[0]!;
  return name === '' ? undefined : `.\\${win32.basename(name)}`;
}
