/** `hvlift keys`: the secrets that open a repository. */
import { Option, type Command } from '@commander-js/extra-typings';
import type { RepositoryOptions } from '../access.ts';
import { absolutePath } from '../config-path.ts';
import type { KeyAdded, KeySlot, NewKey } from '../engine.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { timeCell } from '../numbers.ts';
import {
  passphraseFileOption,
  recoveryKeyFileOption,
  repoOption,
  saveRecoveryKeyOption,
} from '../options.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { RecoveryKeyFile } from './recovery-key-file.ts';

interface NewKeyOptions extends RepositoryOptions {
  readonly newPassphraseFile?: string | undefined;
  readonly newRecoveryKey?: true | undefined;
  readonly saveRecoveryKey?: string | undefined;
}

const newPassphraseFileOption = new Option(
  '--new-passphrase-file <file>',
  'file with the new passphrase; default: asked for',
);
const newRecoveryKeyOption = new Option(
  '--new-recovery-key',
  'a recovery key, drawn by the program and shown once, instead of a passphrase',
);

export function registerKeys(program: Command, run: Runner): void {
  const keys = program.command('keys').summary('list, add, remove and replace the secrets of a repository');
  registerList(keys, run);
  registerAdd(keys, run);
  registerRemove(keys, run);
  registerRotate(keys, run);
}

function registerList(keys: Command, run: Runner): void {
  keys
    .command('list')
    .summary('show which secrets open a repository')
    .description('Shows the key slots of a repository: kind and time of each. Needs no secret.')
    .addOption(repoOption)
    .action((options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        const listed = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.keySlots(repository, task),
        );
        await session.output.result(listed, () => tableLines(COLUMNS, listed.slots));
        return listed.slots.some(({ problem }) => problem !== undefined) ? EXIT.corrupt : EXIT.ok;
      }),
    );
}

const COLUMNS: readonly Column<KeySlot>[] = [
  { title: 'SLOT', cell: ({ slot }) => slot },
  { title: 'OPENED BY', cell: ({ kind }) => kind?.replace('-', ' ') ?? 'DAMAGED' },
  { title: 'CREATED', cell: ({ createdAt }) => (createdAt === undefined ? '' : timeCell(createdAt)) },
  { title: 'PROBLEM', cell: ({ problem }) => problem ?? '' },
];

function registerAdd(keys: Command, run: Runner): void {
  keys
    .command('add')
    .summary('add a passphrase or a recovery key')
    .description('Adds a secret that opens the repository. The ones it has stay.')
    .addOption(repoOption)
    .addOption(newPassphraseFileOption)
    .addOption(newRecoveryKeyOption)
    .addOption(saveRecoveryKeyOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        const secret = await newKey(session, options, 'hvlift keys add');
        await using saved = await RecoveryKeyFile.reserve(options.saveRecoveryKey, session);
        const added = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.addKey({ repository, secret }, task),
        );
        await save(added, saved);
        const document = { slot: added.slot, ...keyMember(added, saved) };
        await session.output.result(document, () => addedLines(added, saved));
        return EXIT.ok;
      }),
    );
}

function registerRemove(keys: Command, run: Runner): void {
  keys
    .command('remove')
    .summary('take a secret away')
    .description(
      'Removes a key slot; never the last one. Who opened the repository with it before may have kept the master key.',
    )
    .argument('<slot>', 'its id in `keys list`, or the beginning of it')
    .addOption(repoOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((slot, options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        const removed = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.removeKey({ repository, slot }, task),
        );
        await session.output.result({ removed }, () => [removedLine(removed)]);
        return EXIT.ok;
      }),
    );
}

function registerRotate(keys: Command, run: Runner): void {
  keys
    .command('rotate')
    .summary('put a new secret in the place of another')
    .description(
      'Adds a secret, tells it, and only then removes the old one: the slot that is named, or the one that opened the repository.',
    )
    .argument('[slot]', 'the slot to remove: its id in `keys list`, or the beginning of it')
    .addOption(repoOption)
    .addOption(newPassphraseFileOption)
    .addOption(newRecoveryKeyOption)
    .addOption(saveRecoveryKeyOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((slot, options) => run((session) => rotate(session, slot, options)));
}

async function rotate(session: Session, slot: string | undefined, options: NewKeyOptions): Promise<ExitCode> {
  const command = 'hvlift keys rotate';
  const repository = await session.repository(options);
  // A document is printed at the end, and the old key goes before: a new one that only the document tells could be lost.
  if (options.newRecoveryKey && session.output.json && options.saveRecoveryKey === undefined)
    throw cliFaults.usage({ reason: '--json with --new-recovery-key needs --save-recovery-key', command });
  const secret = await newKey(session, options, command);
  await using saved = await RecoveryKeyFile.reserve(options.saveRecoveryKey, session);
  let added: KeyAdded | undefined;
  const told = async (key: KeyAdded): Promise<void> => {
    added = key;
    await save(key, saved);
    await session.output.lines(addedLines(key, saved));
  };
  const request = { repository, secret, ...(slot === undefined ? {} : { slot }) };
  const removed = await session.perform(NOTHING_TO_CLEAN, (task) =>
    session.engine.rotateKey(request, told, task),
  );
  const document = { slot: added!.slot, ...keyMember(added!, saved), removed };
  await session.output.result(document, () => [removedLine(removed)]);
  return EXIT.ok;
}

async function newKey(session: Session, options: NewKeyOptions, command: string): Promise<NewKey> {
  if (options.newRecoveryKey) {
    if (options.newPassphraseFile === undefined) return 'recovery-key';
    const reason = '--new-recovery-key and --new-passphrase-file exclude each other';
    throw cliFaults.usage({ reason, command });
  }
  if (options.saveRecoveryKey !== undefined)
    throw cliFaults.usage({ reason: '--save-recovery-key goes with --new-recovery-key', command });
  const what = 'the new passphrase';
  const { workingFolder, homeFolder } = session.io;
  const named = options.newPassphraseFile;
  const file = named === undefined ? undefined : absolutePath(named, workingFolder, homeFolder);
  return { passphrase: await session.secrets.choose({ what, file, instead: 'pass --new-passphrase-file' }) };
}

async function save({ recoveryKey }: KeyAdded, saved: RecoveryKeyFile | undefined): Promise<void> {
  if (recoveryKey) await saved?.write(recoveryKey.reveal());
}

function keyMember({ recoveryKey }: KeyAdded, saved: RecoveryKeyFile | undefined): object {
  if (!recoveryKey) return {};
  return saved ? { recoveryKeyFile: saved.path } : { recoveryKey: recoveryKey.reveal() };
}

function addedLines({ slot, recoveryKey }: KeyAdded, saved: RecoveryKeyFile | undefined): string[] {
  const line = `key slot ${slot} added`;
  if (!recoveryKey) return [line];
  if (saved) return [line, `the recovery key is in ${saved.path}; move it away from this machine`];
  return [line, '', `  ${recoveryKey.reveal()}`, '', 'Write it down and keep it away from this machine.'];
}

function removedLine({ slot, kind }: KeySlot): string {
  return `key slot ${slot} (${kind?.replace('-', ' ') ?? 'damaged'}) removed`;
}
