/**
 * The last look before a recording is written: the names that matter most, known from the typed answers and not from the XML
 * that was rewritten, are looked for in every spelling they could have survived in.
 */
import { recordingFaults } from './faults.ts';

export interface Identity {
  /** For the message, which must not hold it: "name of a VM". */
  readonly what: string;
  readonly text: string;
}

/** Shorter ones occur by chance. */
const LENGTH_MIN = 5;

/** Throws `RECORDING_LEAK`. Words that Windows itself brings are in every recording and are not looked for. */
export function refuseLeaks(
  recording: string,
  identities: readonly Identity[],
  windowsWords: ReadonlySet<string>,
): void {
  const folded = recording.toLowerCase();
  for (const { what, text } of identities) {
    const known = text.toLowerCase();
    if (
      known.length < LENGTH_MIN ||
      known.split(/[^a-z0-9]+/).every((word) => word === '' || windowsWords.has(word))
    )
      continue;
    const found = folded.includes(known) || encodings(text).some((each) => recording.includes(each));
    if (found) throw recordingFaults.leak({ what });
  }
}

/** UTF-16 with its zero bytes, base64 of both encodings at each of the three places in a group, hexadecimal digits. */
export function encodings(text: string): string[] {
  const [utf8, utf16] = [Buffer.from(text, 'utf8'), Buffer.from(text, 'utf16le')];
  return [
    utf16.toString('latin1'),
    ...[utf8, utf16].flatMap((bytes) => [
      ...base64Cores(bytes),
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
    ]),
  ];
}

/** The digits of base64 that depend on nothing but these bytes, wherever in a longer text they stand. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const digits = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const from = Math.ceil((before * 8) / 6);
    const to = Math.floor(((before + bytes.length) * 8) / 6);
    return digits.slice(from, to);
  });
}
