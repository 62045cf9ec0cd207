/** `hvlift serve POINT`: the disks of a restore point by NBD, at once, for as long as the command runs. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, MiB, parseBytes } from '../../base/index.ts';
import type { NbdPlace } from '../../nbd/index.ts';
import { absolutePath } from '../config-path.ts';
import { consistencyText } from '../consistency-text.ts';
import type { ServeRun, ServeTls } from '../engine.ts';
import { EXIT, exitCodeOfOutcome, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import {
  diskOption,
  latestOfOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import type { Runner, Session } from '../session.ts';
import {
  devicesOption,
  machineLines,
  machineOf,
  machineOption,
  memoryOption,
  networkOption,
  noSecureBootOption,
  runOption,
} from './serve-machine.ts';

const COMMAND = 'hvlift serve';
const TEXTS = {
  cleaning: 'clients are cut off; what they wrote and flushed is safe',
  leftBehind: 'what was written since the last flush may be lost',
};
const TEXTS_OF_RUN = {
  cleaning: 'the guest is asked to switch itself off, and has 60 seconds for it',
  leftBehind: 'the guest is cut off, as if its cable had been pulled',
};

export function registerServe(program: Command, run: Runner): void {
  program
    .command('serve')
    .summary('serve the disks of a restore point by NBD, without restoring them')
    .description(
      'Serves the disks of a restore point by NBD until Ctrl-C: QEMU boots from them, `qemu-nbd`, `nbdcopy` or a mount reads them. ' +
        'The restore point never changes; with --write, what clients write goes to a folder.',
    )
    .argument('<point>', 'id of the restore point, the beginning of one, or "latest" with --vm')
    .addOption(repoOption)
    .addOption(latestOfOption)
    .addOption(diskOption)
    .addOption(
      new Option(
        '--write <dir>',
        'let clients write; what they write goes to this folder, and a later run with the same folder goes on with it',
      ),
    )
    .addOption(new Option('--socket <path>', 'serve on this unix socket; default: one only you can reach'))
    .addOption(
      new Option('--listen <address>', 'serve on host:port; beyond this machine only with a certificate'),
    )
    .addOption(new Option('--tls-cert <file>', 'certificate of this server (PEM); clients then must use TLS'))
    .addOption(new Option('--tls-key <file>', 'its key'))
    .addOption(
      new Option('--tls-clients <file>', 'authority (PEM) of the certificates that clients must have'),
    )
    .addOption(
      new Option(
        '--cache <size>',
        'memory for what was read and decoded, of all disks together; default: an eighth of what is free, from 128MiB to 1GiB',
      ).argParser(cacheBytes),
    )
    .addOption(machineOption)
    .addOption(runOption)
    .addOption(devicesOption)
    .addOption(networkOption)
    .addOption(memoryOption)
    .addOption(noSecureBootOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const place = placeOf(session, options);
        const tls = tlsOf(session, options);
        const machine = machineOf(options, COMMAND);
        const request = {
          point: pointSelector(point, options.vm, COMMAND),
          repository: await session.repository(options),
          disks: options.disk ?? [],
          ...(place ? { place } : {}),
          ...(tls ? { tls } : {}),
          ...(options.write === undefined ? {} : { overlay: localPath(session, options.write) }),
          ...(machine ? { machine } : {}),
          ...(options.cache === undefined ? {} : { cacheBytes: options.cache }),
        };
        let code: ExitCode = EXIT.ok;
        await session.perform(options.run ? TEXTS_OF_RUN : TEXTS, (task, endPhase) =>
          session.engine.servePoint(request, task, async (served) => {
            endPhase();
            await session.output.result(served, () => lines(served));
            for (const warning of served.warnings) session.output.warn(warning);
            code = exitCodeOfOutcome(served);
            await (options.run && served.machine
              ? session.engine.runMachine(served.machine.command, task)
              : aborted(task.signal));
          }),
        );
        return code;
      }),
    );
}

/** Less than a few chunks of 1 MiB would be decoded again and again by one reader. */
const CACHE_BYTES_MIN = 16 * MiB;

function cacheBytes(text: string): number {
  const value = parseBytes(text);
  if (value !== undefined && value >= CACHE_BYTES_MIN) return value;
  throw new InvalidArgumentError(`It is a size such as 512MiB, at least ${formatBytes(CACHE_BYTES_MIN)}.`);
}

function localPath({ io }: Session, path: string): string {
  return absolutePath(path, io.workingFolder, io.homeFolder);
}

function placeOf(
  session: Session,
  { socket, listen }: { socket?: string; listen?: string },
): NbdPlace | undefined {
  if (socket !== undefined && listen !== undefined)
    throw cliFaults.usage({ reason: '--socket and --listen exclude each other', command: COMMAND });
  if (socket !== undefined) return { kind: 'unix', path: localPath(session, socket) };
  if (listen === undefined) return undefined;
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
  if (host === undefined || Number(port) > 65_535)
    throw cliFaults.usage({ reason: `--listen is host:port, not "${listen}"`, command: COMMAND });
  return { kind: 'tcp', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClients?: string;
}

function tlsOf(session: Session, { tlsCert, tlsKey, tlsClients }: TlsOptions): ServeTls | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsClients === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw cliFaults.usage({ reason: '--tls-cert and --tls-key go together', command: COMMAND });
  return {
    certificateFile: localPath(session, tlsCert),
    keyFile: localPath(session, tlsKey),
    ...(tlsClients === undefined ? {} : { clientsFile: localPath(session, tlsClients) }),
  };
}

function lines({ vm, pointId, created, consistency, exports, machine }: ServeRun): string[] {
  return [
    `${vm.name} as of ${created} (point ${pointId}, consistency ${consistencyText(consistency)}), until Ctrl-C:`,
    ...exports.flatMap(({ number, size, address, overlay }) => [
      `  disk ${number}, ${formatBytes(size)}, ${overlay === undefined ? 'read-only' : `writes go to ${overlay}`}`,
      `    ${address}`,
    ]),
    ...(machine ? machineLines(machine) : []),
  ];
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
