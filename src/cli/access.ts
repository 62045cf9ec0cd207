/** From what the user named to what the engine needs: the entry in the configuration and the source of its secret. */
import path from 'node:path';
import { parseBytes } from '../base/index.ts';
import { CURRENT_USER } from './choices.ts';
import type { Config, HostConfig, RepositoryConfig } from './config-schema.ts';
import { NAME_PATTERN, fullUrl, hostOf } from './config-values.ts';
import type { ConfigFile } from './config-file.ts';
import { absolutePath } from './config-path.ts';
import type {
  FilesAccess,
  HostAccess,
  LogOnAccess,
  RepositoryAccess,
  RepositoryKey,
  S3Access,
  SshAccess,
  StoreAccess,
} from './engine.ts';
import { cliFaults } from './faults.ts';
import type { HostKeyQuestion } from './host-key-question.ts';
import type { CliIo } from './io.ts';
import { isAddress, parseLocation } from './repository-location.ts';
import type { SecretReader, SecretSource } from './secret-source.ts';
import type { S3Config } from './store-config.ts';

/** The options every command with a repository has. */
export interface RepositoryOptions {
  readonly repo?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly recoveryKeyFile?: string | undefined;
}

export interface RepositoryPlace {
  readonly name?: string;
  readonly path: string;
  readonly config?: RepositoryConfig;
}

export class Access {
  readonly #file: ConfigFile;
  readonly #io: CliIo;
  readonly #secrets: SecretReader;
  readonly #confirm: HostKeyQuestion | undefined;

  constructor(file: ConfigFile, io: CliIo, secrets: SecretReader, confirm?: HostKeyQuestion) {
    this.#confirm = confirm;
    this.#file = file;
    this.#io = io;
    this.#secrets = secrets;
  }

  /** `--host`, else HVLIFT_HOST, else the default, else the only one there is. */
  host(option: string | undefined): HostAccess {
    const { hosts = {}, defaults } = this.#file.config;
    const name = option ?? this.#io.env['HVLIFT_HOST'] ?? defaults?.host ?? onlyKey(hosts);
    if (name === undefined) throw cliFaults.noHost({ path: this.#file.path, known: listOf(hosts) });
    const host = entryOf(hosts, name);
    if (!host) throw cliFaults.hostUnknown({ name, path: this.#file.path, known: listOf(hosts) });
    return this.#hostAccess(name, host);
  }

  repository(options: RepositoryOptions): RepositoryAccess {
    const place = this.repositoryPlace(options.repo);
    return this.#repositoryAccess(place, options);
  }

  /** `--repo`, else HVLIFT_REPO, else the default, else the only one there is. A name, or a path with a separator. */
  repositoryPlace(option: string | undefined): RepositoryPlace {
    const { repositories = {}, defaults } = this.#file.config;
    const text = option ?? this.#io.env['HVLIFT_REPO'] ?? defaults?.repository ?? onlyKey(repositories);
    if (text === undefined) {
      throw cliFaults.noRepository({ path: this.#file.path, known: listOf(repositories) });
    }
    const config = entryOf(repositories, text);
    if (config) return { name: text, path: this.#placeOf(config.path, 'file'), config };
    if (NAME_PATTERN.test(text)) {
      throw cliFaults.repositoryUnknown({
        name: text,
        path: this.#file.path,
        known: listOf(repositories),
      });
    }
    return { path: this.#placeOf(text, 'user') };
  }

  /** What is needed to get to the place of a repository, apart from its own key. */
  store({ name, path: place, config = { path: place } }: RepositoryPlace): StoreAccess {
    const { kind } = parseLocation(place);
    return {
      path: place,
      ...(kind === 's3' && config.s3 ? { s3: this.#s3Access(name ?? place, config.s3) } : {}),
      ...(kind === 'sftp' ? { ssh: this.#storeSsh(name ?? place, config.ssh) } : {}),
      ...(config.rate === undefined ? {} : { bytesPerSecond: parseBytes(config.rate)! }),
      ...(config.cache ? { cache: this.#cacheAccess(config.cache) } : {}),
    };
  }

  #cacheAccess({ folder, size }: NonNullable<RepositoryConfig['cache']>): NonNullable<StoreAccess['cache']> {
    return { folder: this.#fromFile(folder), bytesMax: parseBytes(size)! };
  }

  #s3Access(name: string, { accessKeyId, secretKeyFile, secretKeyEnv, caFile, ...s3 }: S3Config): S3Access {
    const { region, pathStyle, objectLock } = s3;
    const secretKey = once(() =>
      this.#secrets.read({
        what: `the secret key of repository ${name}`,
        file: secretKeyFile === undefined ? undefined : this.#fromFile(secretKeyFile),
        variable: secretKeyEnv,
        instead: `give repository ${name} an s3.secretKeyFile or s3.secretKeyEnv in ${this.#file.path}`,
      }),
    );
    return {
      ...(accessKeyId === undefined ? {} : { credentials: { accessKeyId, secretKey } }),
      ...(region === undefined ? {} : { region }),
      ...(pathStyle === undefined ? {} : { pathStyle }),
      ...(caFile === undefined ? {} : { caFile: this.#fromFile(caFile) }),
      ...(objectLock ? { objectLock } : {}),
    };
  }

  /** Where nothing is configured, the agent's keys log on, as they do for `sftp` and `ssh`. */
  #storeSsh(
    name: string,
    config: RepositoryConfig['ssh'] = { agent: true },
  ): NonNullable<StoreAccess['ssh']> {
    return this.#sshKeys(`repository ${name}`, config);
  }

  #placeOf(text: string, from: 'file' | 'user'): string {
    if (isAddress(text)) return text;
    return from === 'file' ? this.#fromFile(text) : this.#fromUser(text);
  }

  /** Every repository of the configuration. */
  repositories(options: RepositoryOptions): RepositoryAccess[] {
    return Object.keys(this.#file.config.repositories ?? {}).map((repo) =>
      this.repository({ ...options, repo }),
    );
  }

  /** Where the passphrase of a repository comes from. */
  passphraseSource(place: RepositoryPlace, options: RepositoryOptions): SecretSource {
    return {
      what: `the passphrase of repository ${place.name ?? place.path}`,
      ...this.#passphrasePlace(place.config, options),
      instead: 'pass --passphrase-file, or set HVLIFT_PASSPHRASE_FILE or HVLIFT_PASSPHRASE',
    };
  }

  #passphrasePlace(
    config: RepositoryConfig | undefined,
    options: RepositoryOptions,
  ): { file?: string; variable?: string } {
    const { env } = this.#io;
    if (options.passphraseFile !== undefined) return { file: this.#fromUser(options.passphraseFile) };
    if (config?.passphraseFile !== undefined) return { file: this.#fromFile(config.passphraseFile) };
    if (config?.passphraseEnv !== undefined) return { variable: config.passphraseEnv };
    if (env['HVLIFT_PASSPHRASE_FILE']) return { file: this.#fromUser(env['HVLIFT_PASSPHRASE_FILE']) };
    return env['HVLIFT_PASSPHRASE'] ? { variable: 'HVLIFT_PASSPHRASE' } : {};
  }

  #repositoryAccess(place: RepositoryPlace, options: RepositoryOptions): RepositoryAccess {
    return {
      ...(place.name === undefined ? {} : { name: place.name }),
      ...this.store(place),
      unlock: once(async (): Promise<RepositoryKey> => {
        const { recoveryKeyFile } = options;
        if (recoveryKeyFile === undefined) {
          const secret = await this.#secrets.read(this.passphraseSource(place, options));
          return { kind: 'passphrase', secret };
        }
        const what = `the recovery key of repository ${place.name ?? place.path}`;
        const file = this.#fromUser(recoveryKeyFile);
        return { kind: 'recovery-key', secret: await this.#secrets.read({ what, file, instead: '' }) };
      }),
    };
  }

  #hostAccess(name: string, host: HostConfig): HostAccess {
    const { passwordFile, passwordEnv, caFile, fingerprint256, files, sessions } = host;
    return {
      name,
      url: fullUrl(host.url),
      user: host.user ?? CURRENT_USER,
      ...(host.user === undefined ? { asCurrentUser: true as const } : {}),
      password: once(() =>
        this.#secrets.read({
          what: `the password of ${host.user} on host ${name}`,
          file: passwordFile === undefined ? undefined : this.#fromFile(passwordFile),
          variable: passwordEnv,
          instead: `give host ${name} a passwordFile or passwordEnv in ${this.#file.path}`,
        }),
      ),
      ...(caFile === undefined ? {} : { caFile: this.#fromFile(caFile) }),
      ...(fingerprint256 === undefined ? {} : { fingerprint256 }),
      ...this.#logOnAccess(host),
      files: this.#filesAccess(files),
      ...(host.ssh && (host.via || files?.kind === 'sftp') ? { ssh: this.#sshAccess(name, host) } : {}),
      viaSsh: host.via === 'ssh',
      ...(host.nodes ? { nodes: fullUrls(host.nodes) } : {}),
      ...(sessions === undefined ? {} : { sessions }),
    };
  }

  #sshAccess(name: string, { url, user = '', ssh = {} }: HostConfig): SshAccess {
    return {
      host: ssh.host ?? hostOf(url),
      port: ssh.port ?? 22,
      user: ssh.user ?? user,
      ...this.#sshKeys(`host ${name}`, ssh),
      usePassword: ssh.usePassword ?? false,
    };
  }

  /** `owner`, for messages: `host hv1`. */
  #sshKeys(owner: string, ssh: NonNullable<RepositoryConfig['ssh']>): NonNullable<StoreAccess['ssh']> {
    const { keyFile, keyPassphraseFile, keyPassphraseEnv, fingerprint } = ssh;
    const passphrase = once(() =>
      this.#secrets.read({
        what: `the passphrase of the SSH key of ${owner}`,
        file: keyPassphraseFile === undefined ? undefined : this.#fromFile(keyPassphraseFile),
        variable: keyPassphraseEnv,
        instead: `give ${owner} an ssh.keyPassphraseFile or ssh.keyPassphraseEnv in ${this.#file.path}`,
      }),
    );
    const knownHosts = this.#fromFile(ssh.knownHosts ?? '~/.ssh/known_hosts');
    return {
      hostKey:
        fingerprint === undefined
          ? { knownHosts, ...(this.#confirm ? { confirm: this.#confirm } : {}) }
          : { fingerprint },
      ...(ssh.agent ? { agent: this.#agent(owner) } : {}),
      ...(keyFile === undefined ? {} : { key: { path: this.#fromFile(keyFile), passphrase } }),
    };
  }

  #agent(owner: string): string {
    const socket = this.#io.env['SSH_AUTH_SOCK'];
    if (socket) return socket;
    if (this.#io.platform === 'win32') return String.raw`\\.\pipe\openssh-ssh-agent`;
    throw cliFaults.noAgent({ owner });
  }

  #logOnAccess(host: HostConfig): Pick<HostAccess, 'logOn'> {
    const { auth, keytabFile, certificateFile, certificateKeyFile, insecure } = host;
    const logOn: LogOnAccess = {
      ...(auth === undefined ? {} : { auth }),
      ...(keytabFile === undefined ? {} : { keytab: this.#fromFile(keytabFile) }),
      ...(certificateFile === undefined || certificateKeyFile === undefined
        ? {}
        : {
            clientCertificate: {
              certificateFile: this.#fromFile(certificateFile),
              keyFile: this.#fromFile(certificateKeyFile),
            },
          }),
      ...(insecure ? { insecure } : {}),
    };
    return Object.keys(logOn).length === 0 ? {} : { logOn };
  }

  /** Without `files` hvlift runs on the host itself. Shares are names, not paths of this machine. */
  #filesAccess(files: HostConfig['files']): FilesAccess {
    const { kind = 'fs', mappings = [], port } = files ?? {};
    const place = (to: string): string => (kind === 'fs' ? this.#fromFile(to) : to);
    return {
      kind,
      mappings: mappings.map(({ from, to }) => ({ from, to: place(to) })),
      ...(port === undefined ? {} : { port }),
    };
  }

  /** A path written in the configuration. */
  #fromFile(text: string): string {
    return absolutePath(text, path.dirname(this.#file.path), this.#io.homeFolder);
  }

  /** A path typed on the command line or set in the environment. */
  #fromUser(text: string): string {
    return absolutePath(text, this.#io.workingFolder, this.#io.homeFolder);
  }
}

function fullUrls(nodes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(nodes).map(([node, url]) => [node, fullUrl(url)]));
}

/** One question, however often the answer is needed. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}

function entryOf<T>(entries: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(entries, name) ? entries[name] : undefined;
}

function onlyKey(entries: NonNullable<Config['hosts'] | Config['repositories']>): string | undefined {
  const keys = Object.keys(entries);
  return keys.length === 1 ? keys[0] : undefined;
}

function listOf(entries: Readonly<Record<string, unknown>>): string {
  return Object.keys(entries).join(', ') || 'none';
}
