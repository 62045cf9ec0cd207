/** The messages in a recording that `hvlift record` wrote. Its check sums tell an edited file from an untouched one; both are replayed. */
import { createHash } from 'node:crypto';

export interface RecordedExchange {
  readonly request: string;
  readonly answer: string;
}

const HEAD = /^<!-- hvlift recording 1\n/;
const MESSAGE = /^<!-- exchange (\d+) (request|answer)\n((?: {2}\w+: [^\n]*\n)*)-->\n/gm;

interface Message {
  readonly number: number;
  readonly part: 'request' | 'answer';
  readonly xml: string;
  readonly untouched: boolean;
}

/** In the order they were recorded; what has no answer is left out. Throws on what is no recording. */
export function readRecording(text: string): { exchanges: RecordedExchange[]; untouched: boolean } {
  if (!HEAD.test(text)) throw new Error('not a recording of hvlift record, version 1');
  const messages = messagesIn(text);
  const answers = new Map(
    messages.filter(({ part }) => part === 'answer').map((each) => [each.number, each.xml]),
  );
  const exchanges = messages.flatMap(({ number, part, xml }) => {
    const answer = answers.get(number);
    return part === 'request' && answer !== undefined ? [{ request: xml, answer }] : [];
  });
  return { exchanges, untouched: messages.every((each) => each.untouched) };
}

function messagesIn(text: string): Message[] {
  const heads = [...text.matchAll(MESSAGE)];
  return heads.map((head, index) => {
    const end = heads[index + 1]?.index ?? text.length;
    const xml = text.slice(head.index + head[0].length, end).replace(/\n$/, '');
    const stated = /sha256: ([0-9a-f]{64})/.exec(head[3]!)?.[1];
    const untouched = createHash('sha256').update(xml).digest('hex') === stated;
    return { number: Number(head[1]), part: head[2] as Message['part'], xml, untouched };
  });
}
