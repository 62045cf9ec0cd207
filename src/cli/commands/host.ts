/** `hvlift host add|list|remove|test`: the hosts in the configuration. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { CURRENT_USER } from '../choices.ts';
import { absolutePath } from '../config-path.ts';
import type { HostConfig } from '../config-schema.ts';
import { NAME_PATTERN, SESSIONS_MAX, urlProblem } from '../config-values.ts';
import type { HostCheck, HostReport } from '../engine.ts';
import { EXIT, exitCodeOf, worstOf, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { logOnProblems } from '../log-on-config.ts';
import { collect } from '../options.ts';
import { AUTH_METHODS } from '../engine.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

export function registerHost(program: Command, run: Runner): void {
  const host = program
    .command('host')
    .summary('add, list, remove and test hosts')
    .description('The hosts in the configuration file.');
  registerAdd(host, run);
  registerList(host, run);
  registerRemove(host, run);
  registerTest(host, run);
}

interface AddOptions {
  readonly url: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
  readonly auth?: (typeof AUTH_METHODS)[number];
  readonly keytabFile?: string;
  readonly certificateFile?: string;
  readonly certificateKeyFile?: string;
  readonly insecure?: true;
  readonly map?: readonly string[];
  readonly smb?: true;
  readonly sftp?: true;
  readonly viaSsh?: true;
  readonly sshUser?: string;
  readonly sshPort?: number;
  readonly sshKeyFile?: string;
  readonly sshAgent?: true;
  readonly sshKnownHosts?: string;
  readonly sshFingerprint?: string;
  readonly caFile?: string;
  readonly fingerprint256?: string;
  readonly node?: readonly string[];
  readonly sessions?: number;
  readonly replace?: true;
}

function registerAdd(host: Command, run: Runner): void {
  host
    .command('add')
    .summary('write a host into the configuration')
    .description(
      'Writes a host into the configuration. The password is never part of it: name the file or the environment variable ' +
        'that holds it, or neither, and it is asked for when it is needed.',
    )
    .argument('<name>', 'what the host is called from now on')
    .addOption(
      new Option('--url <url>', 'http://HOST:5985/wsman or https://HOST:5986/wsman').makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--user <user>',
        'DOMAIN\\user, user@domain or user; left out: the account hvlift runs under, or the owner of the ticket cache',
      ),
    )
    .addOption(
      new Option('--password-file <file>', 'file with the password as its only line').conflicts(
        'passwordEnv',
      ),
    )
    .addOption(new Option('--password-env <variable>', 'environment variable with the password'))
    .addOption(
      new Option('--smb', 'read the files of the host by SMB, encrypted, from its administrative shares'),
    )
    .addOption(
      new Option('--sftp', 'read the files of the host by SFTP, from its SSH server').conflicts('smb'),
    )
    .addOption(
      new Option(
        '--map <from=to>',
        'where a folder of the host is found here: C:\\ClusterStorage=/mnt/csv; with --smb, on which other share: ' +
          'C:\\VMs=\\\\hv1\\vms; with --sftp, at which path there: E:\\VMs=/srv/vms; may be repeated',
      ).argParser(collect),
    )
    .addOption(new Option('--via-ssh', 'reach WinRM through the SSH server of the host'))
    .addOption(new Option('--ssh-user <user>', 'SSH: the user, when it is not --user'))
    .addOption(new Option('--ssh-port <port>', 'SSH: the port, when it is not 22').argParser(port))
    .addOption(new Option('--ssh-key-file <file>', 'SSH: log on with this private key'))
    .addOption(new Option('--ssh-agent', 'SSH: log on with the keys of the agent'))
    .addOption(
      new Option(
        '--ssh-known-hosts <file>',
        'SSH: file of the host keys to trust; default ~/.ssh/known_hosts',
      ),
    )
    .addOption(
      new Option('--ssh-fingerprint <sha256>', 'SSH: the only host key to trust, SHA256:…').conflicts(
        'sshKnownHosts',
      ),
    )
    .addOption(new Option('--ca-file <file>', 'https: PEM file of the authorities to trust'))
    .addOption(new Option('--fingerprint256 <hex>', 'https: SHA-256 fingerprint of the certificate'))
    .addOption(
      new Option('--insecure', 'https: take any certificate; said on every use').conflicts([
        'caFile',
        'fingerprint256',
      ]),
    )
    .addOption(
      new Option(
        '--auth <method>',
        'how to log on; default auto: Kerberos where it can be had, else NTLM',
      ).choices(AUTH_METHODS),
    )
    .addOption(new Option('--keytab-file <file>', 'Kerberos: file with the key of the user'))
    .addOption(
      new Option('--certificate-file <file>', 'auth certificate: PEM file of the client certificate'),
    )
    .addOption(new Option('--certificate-key-file <file>', 'auth certificate: PEM file of its private key'))
    .addOption(
      new Option(
        '--node <name=url>',
        'a cluster: address of a node that is not reached as --url under its own name; may be repeated',
      ).argParser(collect),
    )
    .addOption(
      new Option('--sessions <number>', 'WinRM connections at most, 1 to 8; default: 2').argParser(
        sessionCount,
      ),
    )
    .addOption(new Option('--replace', 'replace the host of that name'))
    .action((name, options) => run((session) => add(session, name, options)));
}

async function add(session: Session, name: string, options: AddOptions): Promise<ExitCode> {
  const entry = hostEntry(session, name, options);
  const file = await session.config('start');
  const exists = file.config.hosts?.[name] !== undefined;
  if (exists && !options.replace) throw cliFaults.hostExists({ name, path: file.path });
  await file.edit((document) => {
    document.setIn(['hosts', name], document.createNode(entry));
  });
  await session.output.result({ name, ...entry, config: file.path }, () => [
    `host ${name} ${exists ? 'replaced' : 'added'} in ${file.path}; try it: hvlift host test ${name}`,
  ]);
  return EXIT.ok;
}

function hostEntry({ io }: Session, name: string, options: AddOptions): HostConfig {
  const problem = NAME_PATTERN.test(name) ? urlProblem(options.url) : 'letters, digits, dots and dashes only';
  if (problem !== undefined) {
    const what = NAME_PATTERN.test(name) ? '--url' : 'the name';
    throw cliFaults.usage({ reason: `${what} ${problem}`, command: 'hvlift host add' });
  }
  const absolute = (path: string): string => absolutePath(path, io.workingFolder, io.homeFolder);
  const { url, user, passwordFile, passwordEnv, caFile, fingerprint256, node, sessions } = options;
  return {
    url,
    ...(user === undefined ? {} : { user }),
    ...(passwordFile === undefined ? {} : { passwordFile: absolute(passwordFile) }),
    ...(passwordEnv === undefined ? {} : { passwordEnv }),
    ...(caFile === undefined ? {} : { caFile: absolute(caFile) }),
    ...(fingerprint256 === undefined ? {} : { fingerprint256 }),
    ...logOnEntry(url, options, absolute),
    ...(options.viaSsh ? { via: 'ssh' as const } : {}),
    ...(node ? { nodes: Object.fromEntries(node.map(nodeAddress)) } : {}),
    ...(sessions === undefined ? {} : { sessions }),
    ...filesEntry(options, absolute),
    ...sshEntry(options, absolute),
  };
}

/** Refused at once when it can not work, with the words the configuration file would be refused with. */
function logOnEntry(
  url: string,
  options: AddOptions,
  absolute: (path: string) => string,
): Partial<HostConfig> {
  const { auth, keytabFile, certificateFile, certificateKeyFile, insecure } = options;
  const [problem] = logOnProblems({ ...options, url });
  if (problem) {
    const reason = `${problem.path[0]} ${problem.message}`;
    throw cliFaults.usage({ reason, command: 'hvlift host add' });
  }
  return {
    ...(auth === undefined ? {} : { auth }),
    ...(keytabFile === undefined ? {} : { keytabFile: absolute(keytabFile) }),
    ...(certificateFile === undefined ? {} : { certificateFile: absolute(certificateFile) }),
    ...(certificateKeyFile === undefined ? {} : { certificateKeyFile: absolute(certificateKeyFile) }),
    ...(insecure ? { insecure } : {}),
  };
}

function filesEntry(
  { map, smb, sftp }: AddOptions,
  absolute: (path: string) => string,
): Pick<HostConfig, 'files'> {
  if (!smb && !sftp) {
    return map ? { files: { kind: 'fs', mappings: map.map((text) => mapping(text, absolute)) } } : {};
  }
  const places = map?.map((text) => mapping(text, (place) => place));
  return { files: { kind: smb ? 'smb' : 'sftp', ...(places ? { mappings: places } : {}) } };
}

/** Without a way to log on, the configuration says what is missing. */
function sshEntry(options: AddOptions, absolute: (path: string) => string): Pick<HostConfig, 'ssh'> {
  const { sshUser, sshPort, sshKeyFile, sshAgent, sshKnownHosts, sshFingerprint } = options;
  const ssh = {
    ...(sshUser === undefined ? {} : { user: sshUser }),
    ...(sshPort === undefined ? {} : { port: sshPort }),
    ...(sshKeyFile === undefined ? {} : { keyFile: absolute(sshKeyFile) }),
    ...(sshAgent ? { agent: true } : {}),
    ...(sshKnownHosts === undefined ? {} : { knownHosts: absolute(sshKnownHosts) }),
    ...(sshFingerprint === undefined ? {} : { fingerprint: sshFingerprint }),
  };
  return options.sftp || options.viaSsh || Object.keys(ssh).length > 0 ? { ssh } : {};
}

function sessionCount(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= SESSIONS_MAX) return number;
  throw new InvalidArgumentError(`it is a number from 1 to ${SESSIONS_MAX}`);
}

function port(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
  throw new InvalidArgumentError('it is a port number, 1 to 65535');
}

/** `NODE2=http://10.20.0.12:5985`, checked as it is in the configuration file. */
function nodeAddress(text: string): [name: string, url: string] {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  const reason = '--node takes NAME=URL, such as NODE2=http://10.20.0.12:5985';
  throw cliFaults.usage({ reason, command: 'hvlift host add' });
}

function mapping(text: string, absolute: (path: string) => string): { from: string; to: string } {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return { from: text.slice(0, at), to: absolute(text.slice(at + 1)) };
  throw cliFaults.usage({
    reason: '--map takes FROM=TO, such as C:\\VMs=/mnt/vms',
    command: 'hvlift host add',
  });
}

function registerList(host: Command, run: Runner): void {
  host
    .command('list')
    .summary('list the configured hosts')
    .description('Lists the configured hosts and where their passwords come from.')
    .action(() =>
      run(async (session) => {
        const { config, path } = await session.config();
        const hosts = Object.entries(config.hosts ?? {}).map(([name, entry]) => ({ name, ...entry }));
        if (hosts.length === 0)
          session.output.say(`there are no hosts in ${path}; add one with \`hvlift host add\``);
        await session.output.result({ hosts }, () =>
          hosts.length === 0 ? [] : tableLines(HOST_COLUMNS, hosts),
        );
        return EXIT.ok;
      }),
    );
}

const HOST_COLUMNS: readonly Column<HostConfig & { readonly name: string }>[] = [
  { title: 'NAME', cell: (host) => host.name },
  { title: 'URL', cell: (host) => host.url },
  { title: 'USER', cell: (host) => host.user ?? CURRENT_USER },
  {
    title: 'PASSWORD FROM',
    cell: (host) =>
      host.passwordFile ??
      (host.passwordEnv ? `$${host.passwordEnv}` : host.user === undefined ? '-' : 'asked for'),
  },
  {
    title: 'FILES',
    cell: ({ files }) =>
      [
        ...(files && files.kind !== 'fs' ? [files.kind.toUpperCase()] : []),
        ...(files?.mappings ?? []).map(({ from, to }) => `${from}=${to}`),
      ].join(' '),
  },
];

function registerRemove(host: Command, run: Runner): void {
  host
    .command('remove')
    .summary('take a host out of the configuration')
    .description(
      'Takes a host out of the configuration. Nothing on the host, in a repository or in a password file changes.',
    )
    .argument('<name>', 'the host')
    .action((name) =>
      run(async (session) => {
        const file = await session.config();
        const { hosts = {}, defaults } = file.config;
        if (!Object.hasOwn(hosts, name)) {
          const known = Object.keys(hosts).join(', ') || 'none';
          throw cliFaults.hostUnknown({ name, path: file.path, known });
        }
        await file.edit((document) => {
          document.deleteIn(['hosts', name]);
          if (defaults?.host === name) document.deleteIn(['defaults', 'host']);
        });
        await session.output.result({ name, config: file.path }, () => [
          `host ${name} removed from ${file.path}`,
        ]);
        return EXIT.ok;
      }),
    );
}

function registerTest(host: Command, run: Runner): void {
  host
    .command('test')
    .summary('try everything a backup needs from a host')
    .description(
      'Tries what a backup needs from a host, one thing after the other, and says how to mend what fails.',
    )
    .argument('[name]', 'the host (HVLIFT_HOST); default: the configured one')
    .action((name) =>
      run(async (session) => {
        const host = await session.host(name);
        const report = await session.perform(NOTHING_TO_CLEAN, (task) => session.engine.testHost(host, task));
        const code = worstOf(report.checks.map(codeOf));
        await session.output.result(document(report, host.name, session), () => lines(report, host.name));
        for (const { warning, error } of report.checks) {
          if (warning) session.output.warn(warning);
          if (error !== undefined) session.output.fault(session.report(error));
        }
        return code;
      }),
    );
}

function codeOf({ error, warning }: HostCheck): ExitCode {
  if (error !== undefined) return exitCodeOf(error);
  return warning ? EXIT.warnings : EXIT.ok;
}

function document(
  { checks, ...facts }: HostReport,
  name: string,
  session: Session,
): Readonly<Record<string, unknown>> {
  return {
    name,
    ...facts,
    checks: checks.map(({ error, ...check }) =>
      error === undefined ? check : { ...check, error: session.report(error) },
    ),
  };
}

const CHECK_COLUMNS: readonly Column<HostCheck>[] = [
  { title: 'CHECK', cell: (check) => check.name },
  {
    title: 'RESULT',
    cell: (check) => (check.error !== undefined ? 'failed' : check.warning ? 'warning' : 'ok'),
  },
  { title: 'DETAIL', cell: (check) => check.detail },
];

function lines({ computerName, system, checks }: HostReport, name: string): string[] {
  const what = [computerName, system].filter(Boolean).join(', ');
  return [
    what === '' ? name : `${name}: ${what}`,
    ...tableLines(CHECK_COLUMNS, checks).map((line) => `  ${line}`),
  ];
}
