/** A recording of a real host, served as the host served it: WS-Management with NTLM and sealed messages, on loopback. */
import { readFile } from 'node:fs/promises';
import { serveEnvelopes, type Account, type Wire } from '../wire/index.ts';
import { RecordedAnswers } from './recorded-answers.ts';
import { readRecording } from './recording.ts';

export interface Replay extends Wire {
  /** Answers there are. */
  readonly exchanges: number;
  /** Nobody changed the file since it was written. */
  readonly untouched: boolean;
}

export interface ReplayOptions {
  /** The file. */
  readonly recording: string;
  readonly users: readonly Account[];
  /** 0, the default, takes a free one. */
  readonly port?: number;
}

export async function startReplay({ recording, ...options }: ReplayOptions): Promise<Replay> {
  const { exchanges, untouched } = readRecording(await readFile(recording, 'utf8'));
  const wire = await serveEnvelopes(
    options,
    'REPLAY',
    (traits, stats) => new RecordedAnswers(exchanges, traits, stats),
  );
  return { ...wire, exchanges: exchanges.length, untouched };
}
