/** From the options of `hvlift backup` and the configuration to what the engine is asked for. */
import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseBytes } from '../../base/index.ts';
import type { Access } from '../access.ts';
import type { Config } from '../config-schema.ts';
import { NAME_PATTERN, VMS_AT_ONCE_MAX } from '../config-values.ts';
import type { BackupLimits, BackupRequest, ConsistencyAsked } from '../engine.ts';
import { cliFaults } from '../faults.ts';

export interface BackupOptions {
  readonly host?: string | undefined;
  readonly repo?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly recoveryKeyFile?: string | undefined;
  readonly tag?: readonly string[] | undefined;
  readonly all?: true | undefined;
  readonly except?: readonly string[] | undefined;
  readonly consumer?: string | undefined;
  readonly full?: true | undefined;
  readonly consistency?: ConsistencyAsked | undefined;
  readonly truncateLogs?: true | undefined;
  readonly skipUnprotectable?: true | undefined;
  readonly skipDisk?: readonly string[] | undefined;
  readonly onlyDisk?: readonly string[] | undefined;
  readonly maxChain?: number | undefined;
  readonly checkpointBudget?: BackupRequest['checkpointBudget'];
  readonly audit?: BackupRequest['audit'];
  readonly fold?: BackupRequest['fold'];
  readonly parallel?: number | undefined;
  readonly perHost?: number | undefined;
  readonly perVolume?: number | undefined;
  readonly rate?: number | undefined;
  readonly maxLatency?: number | undefined;
}

/** More than any host allows: 50 checkpoints of a VM, some more where it was made of templates. */
const CHAIN_FILES_MAX = 1000;

/** Four VMs keep a link of 10 Gbit/s busy; two readers of one volume leave it to those who work on it. */
const CAPS = { parallel: 4, perHost: 4, perVolume: 2 };

export function backupRequest(
  vms: readonly string[],
  options: BackupOptions,
  config: Config,
  access: Access,
): BackupRequest {
  const named = [...vms, ...(options.tag ?? []).map((tag) => `#${tag}`)];
  refuseContradictions(named, options);
  return {
    host: access.host(options.host),
    repository: access.repository(options),
    vms: named,
    all: options.all === true,
    except: options.except ?? [],
    ...(options.consumer === undefined ? {} : { consumer: options.consumer }),
    full: options.full === true,
    skipUnprotectable: options.skipUnprotectable === true,
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    ...(options.fold === undefined ? {} : { fold: options.fold }),
    disks: { skip: options.skipDisk ?? [], only: options.onlyDisk ?? [] },
    ...(options.maxChain === undefined ? {} : { chainFilesMax: options.maxChain }),
    ...(options.checkpointBudget === undefined ? {} : { checkpointBudget: options.checkpointBudget }),
    policies: policiesOf(options, config),
    limits: limitsOf(options, config.defaults),
  };
}

function refuseContradictions(vms: readonly string[], options: BackupOptions): void {
  const refuse = (reason: string): never => {
    throw cliFaults.usage({ reason, command: 'hvlift backup' });
  };
  if (vms.length === 0 && !options.all) refuse('which VMs? Name some, or a --tag, or say --all');
  if (vms.length > 0 && options.all) refuse('--all is every VM: name none beside it');
  if (options.truncateLogs && options.consistency === 'crash')
    refuse('--truncate-logs is told to the guest, and with --consistency crash the guest is not asked');
}

/** What the command line says holds for every VM; then the configuration counts, its `vms` before its `defaults`. */
function policiesOf({ consistency, truncateLogs }: BackupOptions, config: Config): BackupRequest['policies'] {
  return [
    { match: '*', consistency, truncateLogs },
    ...(config.vms ?? []),
    { match: '*', consistency: config.defaults?.consistency },
  ];
}

function limitsOf(options: BackupOptions, defaults: Config['defaults'] = {}): BackupLimits {
  const bytesPerSecond =
    options.rate ?? (defaults.rate === undefined ? undefined : parseBytes(defaults.rate));
  const latencyMs = options.maxLatency ?? defaults.maxLatencyMs;
  return {
    parallel: options.parallel ?? defaults.parallel ?? CAPS.parallel,
    perHost: options.perHost ?? defaults.perHost ?? CAPS.perHost,
    perVolume: options.perVolume ?? defaults.perVolume ?? CAPS.perVolume,
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(latencyMs === undefined ? {} : { latencyMs }),
  };
}

/** `64MiB`, `0.5%` or `off`: of each disk, or of what is free on a volume. */
export function amount(text: string): Amount {
  return amountUpTo(100, text);
}

/** As {@link amount}, of what changed: folding all that ever changes takes about three times that. */
export function foldAmount(text: string): Amount {
  return amountUpTo(1000, text);
}

type Amount = { percent: number } | { bytes: number } | 'off';

function amountUpTo(percentMax: number, text: string): Amount {
  if (text === 'off') return text;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) > 0 && Number(percent) <= percentMax)
    return { percent: Number(percent) };
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0)
    throw new InvalidArgumentError('It is a size such as 64MiB, a percentage such as 0.5%, or off.');
  return { bytes };
}

/** Files of one chain. */
export function chainFiles(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= CHAIN_FILES_MAX) return number;
  throw new InvalidArgumentError(`It is a number from 1 to ${CHAIN_FILES_MAX}.`);
}

export function vmsAtOnce(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= VMS_AT_ONCE_MAX) return number;
  throw new InvalidArgumentError(`It is a number from 1 to ${VMS_AT_ONCE_MAX}.`);
}

/** `200MiB`: bytes in a second. */
export function rate(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0)
    throw new InvalidArgumentError('It is a size a second, such as 200MiB.');
  return bytes;
}

/** `50ms` or `50`. */
export function milliseconds(text: string): number {
  const number = Number(/^(\d+)(?:ms)?$/.exec(text)?.[1]);
  if (number > 0) return number;
  throw new InvalidArgumentError('It is a number of milliseconds, such as 50ms.');
}

/** It stands in the name of each of its checkpoints, beside two identities. */
export function consumerName(text: string): string {
  if (NAME_PATTERN.test(text) && text.length <= 32) return text;
  throw new InvalidArgumentError('It is made of letters, digits, dots, dashes and underscores, at most 32.');
}
