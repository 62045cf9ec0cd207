/**
 * WS-Enumeration with the shortcuts of WS-Management (DSP0226 8.2.3, 8.7).
 *
 * The first answer may already hold items. Windows then writes `w:Items` and `w:EndOfSequence` in the WS-Management
 * namespace, and in a Pull answer `n:Items` and `n:EndOfSequence` in the enumeration namespace: both are understood in both.
 */
import { winrmFaults } from '../faults.ts';
import { escapeText } from './escape.ts';
import { NS, WQL_DIALECT } from './names.ts';
import { childOf, type XmlElement } from './xml.ts';

/** Without MaxElements a host sends one instance per Pull (recordings, incident 4). */
export function enumerateBody(pageSize: number, query?: string): string {
  const filter =
    query === undefined
      ? ''
      : `<w:Filter Dialect="${WQL_DIALECT}">${escapeText(query, 'the query')}</w:Filter>`;
  return `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>${pageSize}</w:MaxElements>${filter}</n:Enumerate>`;
}

export function pullBody(context: string, pageSize: number): string {
  return `<n:Pull>${contextElement(context)}<n:MaxElements>${pageSize}</n:MaxElements></n:Pull>`;
}

export function releaseBody(context: string): string {
  return `<n:Release>${contextElement(context)}</n:Release>`;
}

function contextElement(context: string): string {
  return `<n:EnumerationContext>${escapeText(context, 'the enumeration context')}</n:EnumerationContext>`;
}

export interface Page {
  readonly items: readonly XmlElement[];
  /** What the next Pull continues; `undefined` after the last page. */
  readonly context: string | undefined;
}

/** `previous` is the context that was pulled: a Pull answer may leave the context out when it stays the same. */
export function readPage(content: XmlElement | undefined, previous?: string): Page {
  const expected = previous === undefined ? 'EnumerateResponse' : 'PullResponse';
  if (content?.uri !== NS.enumeration || content.name !== expected) {
    throw winrmFaults.protocolBroken({
      reason: `${expected} was expected, ${content?.name ?? 'nothing'} came`,
    });
  }
  const items = inEither(content, 'Items')?.children ?? [];
  if (inEither(content, 'EndOfSequence')) return { items, context: undefined };
  const context = childOf(content, NS.enumeration, 'EnumerationContext')?.text.trim() || previous;
  if (context === undefined)
    throw winrmFaults.protocolBroken({ reason: 'an enumeration stopped before its end' });
  return { items, context };
}

function inEither(element: XmlElement, name: string): XmlElement | undefined {
  return childOf(element, NS.enumeration, name) ?? childOf(element, NS.wsman, name);
}
