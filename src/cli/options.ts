/** Options several commands share, worded once. */
import { Option } from '@commander-js/extra-typings';
import type { PointSelector } from './engine.ts';
import { cliFaults } from './faults.ts';

export const hostOption = new Option(
  '--host <name>',
  'host to use (HVLIFT_HOST); default: the configured one',
);
export const repoOption = new Option(
  '-r, --repo <repository>',
  'repository: a configured name, a path with a separator in it, or an address such as s3://bucket/prefix (HVLIFT_REPO); default: the configured one',
);
export const passphraseFileOption = new Option(
  '--passphrase-file <file>',
  'file with the passphrase (HVLIFT_PASSPHRASE_FILE, HVLIFT_PASSPHRASE); default: configured, else asked for',
);
export const recoveryKeyFileOption = new Option(
  '--recovery-key-file <file>',
  'file with the recovery key, to open the repository without its passphrase',
);
export const saveRecoveryKeyOption = new Option(
  '--save-recovery-key <file>',
  'write the recovery key to this new file instead of showing it',
);

export const latestOfOption = new Option('--vm <vm>', 'the VM that "latest" means, by name or id');
export const diskOption = new Option(
  '--disk <disk>',
  'only this disk: its number in `points --disks`, its id or its file name; may be repeated',
).argParser(collectList);

/** For options that may be given several times, each time with one value or with several and commas between. */
export function collectList(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), ...value.split(',').filter(Boolean)];
}

/** For options that may be given several times, each time with one value. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** What POINT means: an id, the beginning of one, or `latest` together with `--vm`. */
export function pointSelector(point: string, vm: string | undefined, command: string): PointSelector {
  if (point !== 'latest') {
    if (vm === undefined) return { kind: 'id', id: point };
    throw cliFaults.usage({ reason: '--vm goes with "latest"; an id names its VM', command });
  }
  if (vm === undefined)
    throw cliFaults.usage({ reason: '"latest" needs --vm: the latest point of which VM?', command });
  return { kind: 'latest', vm };
}
