/**
 * A recording of a real host, made fit to be given away: what the host said to each question, with everything that names
 * somebody or something replaced. The emulated host can replay it, and be corrected by it.
 *
 *   session ──tap──► exchanges ──► rewritten twice ──► looked through once more ──► a new file
 *                                  (first to know every original, then with pseudonyms that hold none)
 */
import { open } from 'node:fs/promises';
import { openWinrm, type WinrmOptions } from '../winrm/index.ts';
import { recordingFaults } from './faults.ts';
import { askInventory, type Inventory } from './inventory.ts';
import { refuseLeaks, type Identity } from './leak-check.ts';
import { Pseudonyms, type PseudonymKind } from './pseudonyms.ts';
import { formatRecording, type Exchange } from './recording-file.ts';
import { rewriteValue, STRUCTURE_WORDS } from './values.ts';
import { rewriteXml } from './xml.ts';

/** All of it is held in memory, twice, and somebody is to look through it. */
const BYTES_MAX = 64 * 1024 * 1024;

export interface RecordOptions {
  readonly winrm: Omit<WinrmOptions, 'tap' | 'signal'>;
  /** A file that does not exist yet. */
  readonly to: string;
  readonly vm?: string | undefined;
  readonly signal: AbortSignal;
}

export interface Recording {
  readonly path: string;
  readonly bytes: number;
  readonly exchanges: number;
  /** Originals that were replaced, each counted once. */
  readonly replaced: Readonly<Record<PseudonymKind, number>>;
  readonly vms: number;
  /** VMs recorded in depth, and what they are called in the file. */
  readonly names: readonly { readonly original: string; readonly pseudonym: string }[];
}

/**
 * Throws `RECORDING_…`, what `openWinrm` throws, and the signal's reason; then there is no file.
 */
export async function record(options: RecordOptions): Promise<Recording> {
  const { to, signal } = options;
  const { exchanges, inventory } = await heard(options);
  const { recording, pseudonyms } = anonymised(exchanges);
  refuseLeaks(recording, identitiesOf(inventory, options), STRUCTURE_WORDS);
  signal.throwIfAborted();
  await writeNew(to, recording);
  return {
    path: to,
    bytes: Buffer.byteLength(recording),
    exchanges: exchanges.length,
    replaced: pseudonyms.counts,
    vms: inventory.vms.length,
    // As in the file, where the name of a VM is an ElementName.
    names: inventory.looked.map(({ name }) => ({
      original: name,
      pseudonym: rewriteValue('ElementName', name, pseudonyms),
    })),
  };
}

async function heard({
  winrm,
  vm,
  signal,
}: RecordOptions): Promise<{ exchanges: Exchange[]; inventory: Inventory }> {
  const exchanges: Exchange[] = [];
  const full = new AbortController();
  let bytes = 0;
  const tap = (exchange: Exchange): void => {
    bytes += exchange.request.length + exchange.answer.length;
    if (bytes > BYTES_MAX) full.abort(recordingFaults.tooLarge({ limitBytes: BYTES_MAX }));
    else exchanges.push(exchange);
  };
  const either = AbortSignal.any([signal, full.signal]);
  await using session = await openWinrm({ ...winrm, signal: either, tap });
  return { inventory: await askInventory(session, { vm, signal: either }), exchanges };
}

function anonymised(exchanges: readonly Exchange[]): { recording: string; pseudonyms: Pseudonyms } {
  const pseudonyms = new Pseudonyms();
  const rewritten = (): Exchange[] =>
    exchanges.map(({ request, answer }) => ({
      request: rewriteXml(request, pseudonyms),
      answer: rewriteXml(answer, pseudonyms),
    }));
  rewritten();
  pseudonyms.settle();
  return { recording: formatRecording(rewritten(), new Date()), pseudonyms };
}

function identitiesOf({ hostName, vms }: Inventory, { winrm }: RecordOptions): Identity[] {
  const { user = '' } = winrm.credentials ?? {};
  return [
    ...vms.flatMap(({ name, id }) => [
      { what: 'name of a VM', text: name },
      { what: 'GUID of a VM', text: id },
    ]),
    { what: 'name of the host', text: hostName ?? '' },
    { what: 'host of the address', text: new URL(winrm.url).hostname },
    { what: 'name of the user', text: user.replace(/^.*\\|@.*$/g, '') },
  ];
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    // Not for the eyes of other users of this machine until somebody has looked at it.
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(text);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw recordingFaults.exists({ path }, { cause });
    throw recordingFaults.unwritable({ path, reason: code ?? message }, { cause });
  }
}
