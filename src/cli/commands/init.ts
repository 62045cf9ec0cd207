/** `hvlift init`: an empty repository, encrypted unless told otherwise. */
import { Option, type Command } from '@commander-js/extra-typings';
import type { Access, RepositoryOptions, RepositoryPlace } from '../access.ts';
import type { ConfigFile } from '../config-file.ts';
import { NAME_PATTERN } from '../config-values.ts';
import type { RepositoryCreated } from '../engine.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { passphraseFileOption, repoOption, saveRecoveryKeyOption } from '../options.ts';
import type { Runner, Session } from '../session.ts';
import { RecoveryKeyFile } from './recovery-key-file.ts';

const TEXTS = {
  cleaning: 'dropping the repository that is being made',
  leftBehind: 'a folder without a repository in it may stay and can be deleted',
};

interface InitOptions extends RepositoryOptions {
  readonly name?: string;
  readonly encryption: boolean;
  readonly saveRecoveryKey?: string;
}

export function registerInit(program: Command, run: Runner): void {
  program
    .command('init')
    .summary('make a repository')
    .description(
      'Makes an empty repository. It is encrypted with a passphrase; a recovery key, shown once, opens it when the ' +
        'passphrase is lost. Without both, nothing in it can be read again.',
    )
    .addOption(repoOption)
    .addOption(new Option('--name <name>', 'also write it into the configuration under this name'))
    .addOption(passphraseFileOption)
    .addOption(saveRecoveryKeyOption)
    .addOption(new Option('--no-encryption', 'store everything readable for whoever can read the folder'))
    .action((options) => run((session) => init(session, options)));
}

async function init(session: Session, options: InitOptions): Promise<ExitCode> {
  const file = await session.config(options.name === undefined ? 'must exist' : 'start');
  const access = session.accessBy(file);
  const place = access.repositoryPlace(options.repo);
  refuseTakenName(file, place, options.name);
  const encryption = await chosenEncryption(session, access, place, options);
  await using saved = await RecoveryKeyFile.reserve(options.saveRecoveryKey, session);
  const created = await session.perform(TEXTS, (task) =>
    session.engine.createRepository({ store: access.store(place), encryption }, task),
  );
  if (created.recoveryKey) await saved?.write(created.recoveryKey.reveal());
  await session.output.result(document(created, place, saved), () => lines(created, place, saved));
  if (options.name !== undefined) await remember(session, file, access, place, options.name, options);
  return EXIT.ok;
}

function refuseTakenName(file: ConfigFile, place: RepositoryPlace, name: string | undefined): void {
  if (name === undefined) return;
  const command = 'hvlift init';
  if (place.name !== undefined)
    throw cliFaults.usage({ reason: `--name: the repository is configured as ${place.name}`, command });
  if (!NAME_PATTERN.test(name))
    throw cliFaults.usage({ reason: '--name: letters, digits, dots and dashes only', command });
  if (file.config.repositories?.[name]) throw cliFaults.repositoryExists({ name, path: file.path });
}

async function chosenEncryption(
  session: Session,
  access: Access,
  place: RepositoryPlace,
  options: InitOptions,
): Promise<Parameters<Session['engine']['createRepository']>[0]['encryption']> {
  if (!options.encryption) return 'none';
  return { passphrase: await session.secrets.choose(access.passphraseSource(place, options)) };
}

/** Writes the entry with paths that mean the same from everywhere. */
async function remember(
  session: Session,
  file: ConfigFile,
  access: Access,
  place: RepositoryPlace,
  name: string,
  options: InitOptions,
): Promise<void> {
  const { file: passphraseFile } = options.encryption ? access.passphraseSource(place, options) : {};
  await file.edit((document) => {
    document.setIn(
      ['repositories', name],
      document.createNode({ path: place.path, ...(passphraseFile === undefined ? {} : { passphraseFile }) }),
    );
  });
  session.output.say(`${name} is now in ${file.path}`);
}

function document(created: RepositoryCreated, place: RepositoryPlace, saved: RecoveryKeyFile | undefined) {
  const { repositoryId, encryption, recoveryKey } = created;
  const key = saved ? { recoveryKeyFile: saved.path } : { recoveryKey: recoveryKey?.reveal() };
  return { repositoryId, path: place.path, encryption, ...(recoveryKey ? key : {}) };
}

function lines(
  created: RepositoryCreated,
  place: RepositoryPlace,
  saved: RecoveryKeyFile | undefined,
): string[] {
  const { repositoryId, encryption, recoveryKey } = created;
  if (!recoveryKey) return [`repository ${repositoryId} made in ${place.path}, NOT ENCRYPTED`];
  const made = `repository ${repositoryId} made in ${place.path}, encrypted with ${encryption}`;
  if (saved) return [made, `the recovery key is in ${saved.path}; move it away from this machine`];
  return [
    made,
    '',
    'The recovery key opens the repository when the passphrase is lost. It is shown this once:',
    '',
    `  ${recoveryKey.reveal()}`,
    '',
    'Write it down and keep it away from this machine.',
  ];
}
