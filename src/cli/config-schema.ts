/**
 * The configuration: hosts, repositories, and what to use when a command names neither.
 *
 * docs/reference/config.md lists the same keys; a test compares. Secrets have no place in it: a host or repository names
 * the file or the environment variable that holds its secret, or neither, and then it is asked for.
 */
import { z } from 'zod';
import { parseBytes } from '../base/index.ts';
import {
  FINGERPRINT_PATTERN,
  NAME_PATTERN,
  SESSIONS_MAX,
  SHARE_PATTERN,
  urlProblem,
  VMS_AT_ONCE_MAX,
} from './config-values.ts';
import { AUTH_METHODS, CONSISTENCIES, FILE_KINDS } from './engine.ts';
import { logOnProblems } from './log-on-config.ts';
import { cacheSchema, s3Schema, storeProblems } from './store-config.ts';

interface FilesConfig {
  readonly kind: (typeof FILE_KINDS)[number];
  readonly mappings?: readonly { readonly to: string }[] | undefined;
  readonly port?: number | undefined;
}

const text = z.string().min(1, 'must not be empty');
const variableName = text.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');
const name = z.string().regex(NAME_PATTERN);

const SESSIONS_RULE = `must be a number of connections, 1 to ${SESSIONS_MAX}`;
const PORT_RULE = 'must be a port number, 1 to 65535';

const windowsPath = text.regex(
  /^([A-Za-z]:[\\/]|\\\\[^\\/]|[A-Za-z]:$)/,
  'must be a Windows path with a drive letter, or \\\\server\\share',
);

const filesSchema = z
  .strictObject({
    kind: z.enum(FILE_KINDS),
    mappings: z.array(z.strictObject({ from: windowsPath, to: text })).optional(),
    port: z.int().min(1, PORT_RULE).max(65_535, PORT_RULE).optional(),
  })
  .superRefine((files, context) => {
    for (const { path, message } of filesProblems(files)) context.addIssue({ code: 'custom', path, message });
  });

interface ConfigProblem {
  readonly path: (string | number)[];
  readonly message: string;
}

/** What `to` of a mapping must be. By paths of this machine, anything may be one. */
const MAPPED_TO = {
  smb: { pattern: SHARE_PATTERN, message: 'must be \\\\server\\share, or a folder below one' },
  sftp: { pattern: /^\//, message: 'must be a path as SFTP writes it, such as /E:/VMs or /srv/vms' },
} as const;

/** What fits one kind and not the other: `fs` maps folders to folders, `smb` may map them to shares, `sftp` to paths there. */
function filesProblems({ kind, mappings, port }: FilesConfig): ConfigProblem[] {
  const misplaced =
    kind === 'smb' || port === undefined ? [] : [{ path: ['port'], message: 'belongs to files of kind smb' }];
  if (kind === 'fs')
    return [...(mappings ? [] : [{ path: ['mappings'], message: 'is missing' }]), ...misplaced];
  const { pattern, message } = MAPPED_TO[kind];
  const wrong = (mappings ?? []).flatMap(({ to }, index) =>
    pattern.test(to) ? [] : [{ path: ['mappings', index, 'to'], message }],
  );
  return [...wrong, ...misplaced];
}

const sshLogOnKeys = {
  agent: z.boolean().optional(),
  keyFile: text.optional(),
  keyPassphraseFile: text.optional(),
  keyPassphraseEnv: variableName.optional(),
};

const sshTrustKeys = {
  knownHosts: text.optional(),
  fingerprint: text
    .regex(FINGERPRINT_PATTERN, 'must be SHA256: and 43 letters, as `ssh-keygen -lf` prints it')
    .optional(),
};

const sshSchema = z.strictObject({
  host: text.optional(),
  port: z.int().min(1, PORT_RULE).max(65_535, PORT_RULE).optional(),
  user: text.optional(),
  ...sshLogOnKeys,
  usePassword: z.boolean().optional(),
  ...sshTrustKeys,
});

type SshConfig = z.infer<typeof sshSchema>;

/** SSH is configured when it is needed, with one way to know the host and at least one to log on. */
function sshProblems(host: {
  readonly user?: string | undefined;
  readonly via?: 'ssh' | undefined;
  readonly files?: FilesConfig | undefined;
  readonly ssh?: SshConfig | undefined;
}): ConfigProblem[] {
  const { ssh, via, files } = host;
  const at = (key: string, message: string): ConfigProblem => ({ path: ['ssh', key], message });
  if (!ssh) return (via ?? files?.kind === 'sftp') ? [{ path: ['ssh'], message: 'is missing' }] : [];
  const methods = ssh.agent || ssh.usePassword || ssh.keyFile !== undefined;
  return [
    ...sshKeyProblems(ssh),
    ...((ssh.user ?? host.user) === undefined ? [at('user', 'is missing, as the host has none')] : []),
    ...(ssh.usePassword && host.user === undefined ? [at('usePassword', 'needs the user of the host')] : []),
    ...(methods ? [] : [{ path: ['ssh'], message: 'needs keyFile, agent or usePassword' }]),
  ];
}

type SshKeys = Pick<SshConfig, 'knownHosts' | 'fingerprint' | 'keyPassphraseFile' | 'keyPassphraseEnv'>;

function sshKeyProblems(ssh: SshKeys): ConfigProblem[] {
  const at = (key: string, message: string): ConfigProblem => ({ path: ['ssh', key], message });
  return [
    ...(ssh.knownHosts !== undefined && ssh.fingerprint !== undefined
      ? [at('fingerprint', 'stands beside knownHosts; keep one of them')]
      : []),
    ...(ssh.keyPassphraseFile !== undefined && ssh.keyPassphraseEnv !== undefined
      ? [at('keyPassphraseEnv', 'stands beside keyPassphraseFile; keep one of them')]
      : []),
  ];
}

const address = text.superRefine((url, context) => {
  const problem = urlProblem(url);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const hostShape = z.strictObject({
  url: address,
  user: text.optional(),
  passwordFile: text.optional(),
  passwordEnv: variableName.optional(),
  auth: z.enum(AUTH_METHODS).optional(),
  keytabFile: text.optional(),
  certificateFile: text.optional(),
  certificateKeyFile: text.optional(),
  insecure: z.boolean().optional(),
  caFile: text.optional(),
  fingerprint256: text
    .regex(
      /^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/,
      'must be 32 bytes in hexadecimal, with or without colons',
    )
    .optional(),
  nodes: z.record(name, address).optional(),
  sessions: z.int().min(1, SESSIONS_RULE).max(SESSIONS_MAX, SESSIONS_RULE).optional(),
  via: z.enum(['ssh']).optional(),
  files: filesSchema.optional(),
  ssh: sshSchema.optional(),
});

export const hostSchema = hostShape.superRefine((host, context) => {
  for (const { path, message } of [...sshProblems(host), ...logOnProblems(host)])
    context.addIssue({ code: 'custom', path, message });
});

const bytesPerSecond = text.refine(
  (size) => (parseBytes(size) ?? 0) > 0,
  'must be a size a second, such as 200MiB',
);

export const repositorySchema = z
  .strictObject({
    path: text,
    passphraseFile: text.optional(),
    passphraseEnv: variableName.optional(),
    rate: bytesPerSecond.optional(),
    cache: cacheSchema.optional(),
    s3: s3Schema.optional(),
    ssh: z.strictObject({ ...sshLogOnKeys, ...sshTrustKeys }).optional(),
  })
  .superRefine((repository, context) => {
    const ssh = repository.ssh ? sshKeyProblems(repository.ssh) : [];
    for (const { path, message } of [...storeProblems(repository), ...ssh])
      context.addIssue({ code: 'custom', path, message });
  });

const VMS_RULE = `must be a number of VMs, 1 to ${VMS_AT_ONCE_MAX}`;
const vmsAtOnce = z.int().min(1, VMS_RULE).max(VMS_AT_ONCE_MAX, VMS_RULE);

const pointCount = z.int().min(0, 'must be a number of restore points');

const keepSchema = z.strictObject({
  last: pointCount.optional(),
  hourly: pointCount.optional(),
  daily: pointCount.optional(),
  weekly: pointCount.optional(),
  monthly: pointCount.optional(),
  yearly: pointCount.optional(),
  minGood: pointCount.optional(),
});

const vmPolicySchema = z.strictObject({
  match: text,
  consistency: z.enum(CONSISTENCIES).optional(),
  truncateLogs: z.boolean().optional(),
  keep: keepSchema.optional(),
});

export const configSchema = z.strictObject({
  hosts: z.record(name, hostSchema).optional(),
  repositories: z.record(name, repositorySchema).optional(),
  defaults: z
    .strictObject({
      host: name.optional(),
      repository: name.optional(),
      consistency: z.enum(CONSISTENCIES).optional(),
      parallel: vmsAtOnce.optional(),
      perHost: vmsAtOnce.optional(),
      perVolume: vmsAtOnce.optional(),
      rate: bytesPerSecond.optional(),
      maxLatencyMs: z.int().min(1, 'must be a number of milliseconds').optional(),
    })
    .optional(),
  vms: z.array(vmPolicySchema).optional(),
});

export type HostConfig = z.infer<typeof hostSchema>;
export type RepositoryConfig = z.infer<typeof repositorySchema>;
export type Config = z.infer<typeof configSchema>;

/** The keys that may stand at `path`; empty where names are free or nothing may stand. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: z.ZodType = configSchema;
  for (const key of path) {
    const inner = unwrap(schema);
    if (inner instanceof z.ZodObject)
      schema = (inner.shape as Record<string, z.ZodType>)[String(key)] ?? z.never();
    else if (inner instanceof z.ZodRecord) schema = inner.valueType as z.ZodType;
    else if (inner instanceof z.ZodArray) schema = inner.element as z.ZodType;
    else return [];
  }
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
}
