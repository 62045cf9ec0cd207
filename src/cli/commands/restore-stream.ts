/** `hvlift restore POINT --to -`: one disk, or the VM as a package, on stdout for the next program. */
import {
  PIPE_FORMATS,
  type RestoreFormat,
  type RestoreRequest,
  type StreamRequest,
  type Task,
  type Warning,
} from '../engine.ts';
import { exitCodeOfOutcome, worstOf, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import type { Session } from '../session.ts';
import { sendToStdout } from './stdout-stream.ts';

const COMMAND = 'hvlift restore';

export async function restoreToStdout(
  session: Session,
  request: Omit<RestoreRequest, 'to' | 'overwrite'>,
): Promise<ExitCode> {
  const { format } = request;
  if (!isPipeFormat(format)) {
    const reason = `a stream needs a --format that is written front to back: ${PIPE_FORMATS.join(', ')}`;
    throw cliFaults.usage({ reason, command: COMMAND });
  }
  const warnings: Warning[] = [];
  const warn = (warning: Warning): void => {
    warnings.push(warning);
    session.output.warn(warning);
  };
  const bytes = (task: Task): AsyncIterable<Uint8Array> =>
    session.engine.restoreStream({ ...request, format, warn }, task);
  return worstOf([
    await sendToStdout(session, { command: COMMAND, format, bytes }),
    exitCodeOfOutcome({ warnings }),
  ]);
}

function isPipeFormat(format: RestoreFormat): format is StreamRequest['format'] {
  return PIPE_FORMATS.some((known) => known === format);
}
