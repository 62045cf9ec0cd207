/** `hvlift restore POINT --to -`: one disk, or the VM as a package, on stdout for the next program. */
import { formatBytes, formatDuration, unlessAborted } from '../../base/index.ts';
import { PIPE_FORMATS, type RestoreFormat, type RestoreRequest, type StreamRequest } from '../engine.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import type { Session } from '../session.ts';

/** What `--to` says instead of a folder. */
export const STDOUT = '-';

const TEXTS = {
  cleaning: 'ending the stream',
  leftBehind: 'what was sent is not complete and is no image',
};

/** Refuses what would put bytes where nobody wants them, before the repository is opened. */
export async function restoreToStdout(
  session: Session,
  request: Omit<RestoreRequest, 'to' | 'overwrite'>,
): Promise<ExitCode> {
  const { output, io } = session;
  const { format } = request;
  if (!isPipeFormat(format)) {
    throw usage(`a stream needs a --format that is written front to back: ${PIPE_FORMATS.join(', ')}`);
  }
  if (output.json) throw usage('--json and the bytes of a disk cannot both go to stdout');
  if (io.stdout.isTTY) throw usage('stdout is a terminal: send the stream into a pipe or a file');
  const started = io.now();
  const sent = await session.perform(TEXTS, async (task) => {
    let bytes = 0;
    for await (const piece of session.engine.restoreStream({ ...request, format }, task)) {
      // A reader that stands still must not keep Ctrl-C from working.
      await unlessAborted(output.bytes(piece), task.signal);
      bytes += piece.length;
      if (output.closed) throw cliFaults.readerGone({ bytes });
    }
    return bytes;
  });
  output.say(`${formatBytes(sent)} sent as ${format} in ${formatDuration((io.now() - started) / 1000)}`);
  return EXIT.ok;
}

function isPipeFormat(format: RestoreFormat): format is StreamRequest['format'] {
  return PIPE_FORMATS.some((known) => known === format);
}

function usage(reason: string): Error {
  return cliFaults.usage({ reason, command: 'hvlift restore' });
}
