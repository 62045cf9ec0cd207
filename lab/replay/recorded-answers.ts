/**
 * Answers as a real host gave them. A request is known by what it asks, not by its bytes: action, resource, selectors and body,
 * so that a client that writes its headers otherwise is understood too. Asked again, the host answers what it answered next;
 * after its last answer, that one again.
 */
import {
  faultEnvelope,
  identifyXml,
  parseRequest,
  SoapFault,
  type Answering,
  type Outcome,
  type WireRequest,
  type WireStats,
  type WireTraits,
  type XmlElement,
} from '../wire/index.ts';
import type { RecordedExchange } from './recording.ts';

export class RecordedAnswers implements Answering {
  readonly #answers = new Map<string, string[]>();
  readonly #traits: WireTraits;
  readonly #stats: WireStats;

  constructor(exchanges: readonly RecordedExchange[], traits: WireTraits, stats: WireStats) {
    this.#traits = traits;
    this.#stats = stats;
    for (const { request, answer } of exchanges) {
      const parsed = parseRequest(request, traits).request;
      if (parsed instanceof SoapFault) continue;
      const key = keyOf(parsed);
      this.#answers.set(key, [...(this.#answers.get(key) ?? []), answer]);
    }
  }

  answer(text: string, _caller: unknown, addressed: string): Promise<Outcome> {
    const { messageId, request } = parseRequest(text, this.#traits);
    const answer = request instanceof SoapFault ? undefined : this.#next(request);
    if (answer === undefined) {
      this.#stats.faults += 1;
      const fault = new SoapFault('notFound', 'the recording has no answer to this');
      const context = { traits: this.#traits, relatesTo: messageId, addressed, hostName: addressed };
      return Promise.resolve({ kind: 'answer', status: 500, xml: faultEnvelope(fault, context) });
    }
    const xml = answer.replace(/(<(?:\w+:)?RelatesTo>)[^<]*/, `$1${messageId}`);
    return Promise.resolve({ kind: 'answer', status: /<(?:\w+:)?Fault[\s>]/.test(xml) ? 500 : 200, xml });
  }

  close(): void {}

  #next(request: WireRequest): string | undefined {
    if (request.action === 'Identify') return identifyXml();
    const answers = this.#answers.get(keyOf(request));
    return answers && answers.length > 1 ? answers.shift() : answers?.[0];
  }
}

function keyOf({ action, resourceUri, selectors, body }: WireRequest): string {
  const keys = [...selectors].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([action, resourceUri.toLowerCase(), keys, body && outlineOf(body)]);
}

function outlineOf({ uri, local, text, children }: XmlElement): unknown {
  return [uri, local, text.trim(), children.map(outlineOf)];
}
