/**
 * The file of a recording: one message after the other, each the text that was sent or answered, behind a comment that says which
 * it is. So it can be read, searched and cut with any editor.
 *
 *   <!-- hvlift recording 1                       once
 *     recorded-at: 2026-11-23T16:00:00.000Z
 *   -->
 *   <!-- exchange 1 request                       `answer` follows with the same number
 *     what: Enumerate Msvm_ComputerSystem
 *     bytes: 1234
 *     sha256: of these bytes
 *   -->
 *   <s:Envelope …>                                exactly so many bytes, then a line break
 */
import { createHash } from 'node:crypto';

export interface Exchange {
  readonly request: string;
  readonly answer: string;
}

export function formatRecording(exchanges: readonly Exchange[], at: Date): string {
  const head = `<!-- hvlift recording 1\n  recorded-at: ${at.toISOString()}\n-->\n`;
  const messages = exchanges.flatMap(({ request, answer }, index) => {
    const what = subjectOf(request);
    return [message(index + 1, 'request', what, request), message(index + 1, 'answer', what, answer)];
  });
  return head + messages.join('');
}

function message(number: number, part: 'request' | 'answer', what: string, xml: string): string {
  const bytes = Buffer.byteLength(xml);
  const sha256 = createHash('sha256').update(xml).digest('hex');
  return `<!-- exchange ${number} ${part}\n  what: ${what}\n  bytes: ${bytes}\n  sha256: ${sha256}\n-->\n${xml}\n`;
}

/** `Enumerate Msvm_ComputerSystem`: the ends of the action and of the resource. */
function subjectOf(request: string): string {
  const last = (name: string): string =>
    new RegExp(`<(?:[\\w-]+:)?${name}\\b[^>]*>[^<]*?([\\w*]+)</`).exec(request)?.[1] ?? '';
  return `${last('Action')} ${last('ResourceURI')}`.trim();
}
