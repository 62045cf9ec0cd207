/** `hvlift disk convert IN OUT`: a disk file as an image of another format, or on stdout for the next program. */
import path from 'node:path';
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, formatDuration } from '../../base/index.ts';
import type { ConvertRecord } from '../../flows/index.ts';
import {
  CONVERT_FORMATS,
  CONVERT_PIPE_FORMATS,
  type ConvertFormat,
  type DiskFileRequest,
} from '../engine.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { formatRate } from '../numbers.ts';
import type { Runner, Session } from '../session.ts';
import { absoluteFile, diskFile, parentsOption } from './disk-source.ts';
import { sendToStdout, STDOUT } from './stdout-stream.ts';

const COMMAND = 'hvlift disk convert';

const TEXTS = {
  cleaning: 'removing the image that is not complete',
  leftBehind: 'a file named *.partial stays beside the target; it is no complete image and can be deleted',
};

/** What a file is when only its name says. */
const BY_EXTENSION: Partial<Record<string, ConvertFormat>> = {
  '.raw': 'raw',
  '.img': 'raw',
  '.vhdx': 'vhdx',
  '.vhd': 'vhd',
  '.qcow2': 'qcow2',
  '.vmdk': 'vmdk',
};

export function registerDiskConvert(disk: Command, run: Runner): void {
  disk
    .command('convert')
    .summary('write a disk file as an image of another format')
    .description(
      'Writes a disk with all its parents as one image. The source is only read; the image has its name once it is complete.',
    )
    .argument('<in>', 'the disk file')
    .argument('<out>', 'the image to write; - sends it to stdout')
    .addOption(
      new Option('--to <format>', 'image format; default: by the ending of <out>').choices(CONVERT_FORMATS),
    )
    .addOption(new Option('--overwrite', 'replace an existing image, finished or not'))
    .addOption(new Option('--verify', 'read the image again and compare it with the disk'))
    .addOption(parentsOption)
    .action((file, out, options) =>
      run(async (session) => {
        const source = diskFile(session, file, options);
        if (out === STDOUT) return toStdout(session, source, options);
        const target = absoluteFile(session, out);
        const { overwrite = false, verify = false } = options;
        const request = { ...source, target, format: options.to ?? formatByName(out), overwrite, verify };
        const converted = await session.perform(TEXTS, (task) => session.engine.convertDisk(request, task));
        await session.output.result(converted, () => [line(converted)]);
        return EXIT.ok;
      }),
    );
}

function formatByName(out: string): ConvertFormat {
  const format = BY_EXTENSION[path.extname(out).toLowerCase()];
  if (format !== undefined) return format;
  throw usage(`the ending of "${out}" names no format: give --to ${CONVERT_FORMATS.join('|')}`);
}

interface StdoutOptions {
  readonly to?: ConvertFormat;
  readonly overwrite?: true;
  readonly verify?: true;
}

async function toStdout(
  session: Session,
  source: DiskFileRequest,
  { to = 'raw', overwrite, verify }: StdoutOptions,
): Promise<ExitCode> {
  const format = CONVERT_PIPE_FORMATS.find((known) => known === to);
  if (format === undefined) {
    throw usage(`a stream needs a --to that is written front to back: ${CONVERT_PIPE_FORMATS.join(', ')}`);
  }
  if (overwrite || verify) throw usage('--overwrite and --verify are for files; stdout is none');
  return sendToStdout(session, {
    command: COMMAND,
    format,
    bytes: (task) => session.engine.convertStream({ ...source, format }, task),
  });
}

function line(converted: ConvertRecord): string {
  const { target, format, virtualBytes, writtenBytes, seconds, verified } = converted;
  const sizes = `${formatBytes(virtualBytes)}, ${formatBytes(writtenBytes)} written`;
  const rate = seconds > 0 ? `, ${formatRate(writtenBytes / seconds)}` : '';
  const end = verified ? '; read again and the same' : '';
  return `${target}: ${format}, ${sizes} in ${formatDuration(seconds)}${rate}${end}`;
}

function usage(reason: string): Error {
  return cliFaults.usage({ reason, command: COMMAND });
}
