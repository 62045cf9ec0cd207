/** An image on stdout for the next program: its bytes and nothing else. */
import { formatBytes, formatDuration, unlessAborted } from '../../base/index.ts';
import type { Task } from '../engine.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import type { Session } from '../session.ts';

/** What stands for stdout where a path is asked for. */
export const STDOUT = '-';

const TEXTS = {
  cleaning: 'ending the stream',
  leftBehind: 'what was sent is not complete and is no image',
};

export interface StdoutStream {
  /** As the user typed it, for errors. */
  readonly command: string;
  readonly format: string;
  readonly bytes: (task: Task) => AsyncIterable<Uint8Array>;
}

/** Refuses what would put bytes where nobody wants them. */
function refuseStdout({ output, io }: Session, command: string): void {
  const usage = (reason: string): Error => cliFaults.usage({ reason, command });
  if (output.json) throw usage('--json and the bytes of a disk cannot both go to stdout');
  if (io.stdout.isTTY) throw usage('stdout is a terminal: send the stream into a pipe or a file');
}

/** Nothing is opened when the bytes would go to a terminal or into a document. */
export async function sendToStdout(session: Session, stream: StdoutStream): Promise<ExitCode> {
  const { output, io } = session;
  refuseStdout(session, stream.command);
  const started = io.now();
  const sent = await session.perform(TEXTS, async (task) => {
    let bytes = 0;
    for await (const piece of stream.bytes(task)) {
      // A reader that stands still must not keep Ctrl-C from working.
      await unlessAborted(output.bytes(piece), task.signal);
      bytes += piece.length;
      if (output.closed) throw cliFaults.readerGone({ bytes });
    }
    return bytes;
  });
  const seconds = (io.now() - started) / 1000;
  output.say(`${formatBytes(sent)} sent as ${stream.format} in ${formatDuration(seconds)}`);
  return EXIT.ok;
}
