/**
 * Ceph's S3 gateway as processes of the test: a monitor, an OSD that keeps everything in memory, and radosgw, each on a port
 * of its own and gone when the test is.
 *
 * The keys of all daemons are in the keyring the monitor is made with: each `ceph auth` would cost a second of Python.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requires } from '../requires.ts';
import { freePort, listening } from './local-server.fixture.ts';

const run = promisify(execFile);

/** `{ skip }` where Ceph is not installed. */
export function requiresCeph(unproved: string): { skip?: string } {
  return requires(
    ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph-authtool', 'monmaptool'],
    unproved,
  );
}

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Ceph extends S3Keys, AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** Another user, who may do nothing until a bucket allows it. */
  createUser(name: string): Promise<S3Keys>;
  /** Ends the gateway at once, as a power cut would; what it acknowledged stays with the OSD. */
  killGateway(): Promise<void>;
  startGateway(): Promise<void>;
}

export async function startCeph(): Promise<Ceph> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-ceph-'));
  const processes: ChildProcess[] = [];
  try {
    const [monitorPort, gatewayPort] = [await freePort(), await freePort()];
    await writeConfiguration(folder, monitorPort, gatewayPort);
    processes.push(await startMonitor(folder, monitorPort));
    processes.push(await startOsd(folder));
    return await startGateway(folder, gatewayPort, processes);
  } catch (error) {
    await end(folder, processes);
    throw error;
  }
}

async function startGateway(folder: string, port: number, processes: readonly ChildProcess[]): Promise<Ceph> {
  const gateway = new Gateway(folder, port, processes);
  try {
    // At once: both make pools, and so both take the time of one.
    await Promise.all([gateway.startGateway(), gateway.createUser('test', gateway)]);
    return gateway;
  } catch (error) {
    await gateway.killGateway();
    throw error;
  }
}

class Gateway implements Ceph {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #processes: readonly ChildProcess[];
  #gateway: ChildProcess | undefined;

  constructor(folder: string, port: number, processes: readonly ChildProcess[]) {
    ({ accessKeyId: this.accessKeyId, secretAccessKey: this.secretAccessKey } = newKeys());
    this.#folder = folder;
    this.#port = port;
    this.#processes = processes;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async startGateway(): Promise<void> {
    this.#gateway = daemon(this.#folder, 'radosgw', ['-n', 'client.rgw']);
    await listening('radosgw', this.#port, this.#gateway, 60);
  }

  async killGateway(): Promise<void> {
    if (this.#gateway) await kill(this.#gateway);
    this.#gateway = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#folder, [...this.#processes, ...(this.#gateway ? [this.#gateway] : [])]);
  }

  async createUser(name: string, keys: S3Keys = newKeys()): Promise<S3Keys> {
    const user = [`--uid=${name}`, `--display-name=${name}`];
    const pair = [`--access-key=${keys.accessKeyId}`, `--secret-key=${keys.secretAccessKey}`];
    await tool(this.#folder, 'radosgw-admin', ['-n', 'client.rgw', 'user', 'create', ...user, ...pair]);
    return keys;
  }
}

function newKeys(): S3Keys {
  return {
    accessKeyId: randomBytes(10).toString('hex').toUpperCase(),
    secretAccessKey: randomBytes(20).toString('hex'),
  };
}

async function writeConfiguration(folder: string, monitorPort: number, gatewayPort: number): Promise<void> {
  const lines = [
    '[global]',
    `fsid = ${randomUUID()}`,
    `mon_host = v2:127.0.0.1:${monitorPort}`,
    'ms_bind_msgr1 = false',
    'public_network = 127.0.0.0/8',
    'auth_cluster_required = cephx',
    'auth_service_required = cephx',
    'auth_client_required = cephx',
    `keyring = ${folder}/keyring`,
    'auth_allow_insecure_global_id_reclaim = false',
    'osd_pool_default_size = 1',
    'osd_pool_default_min_size = 1',
    'osd_pool_default_pg_num = 1',
    'osd_pool_default_pg_autoscale_mode = off',
    'mon_allow_pool_size_one = true',
    'osd_crush_chooseleaf_type = 0',
    // Each pool is a change of the map, and a change waits a second for others to come with it.
    'paxos_propose_interval = 0.05',
    'paxos_min_wait = 0.01',
    'osd_objectstore = memstore',
    'memstore_device_bytes = 2147483648',
    // A disk that is nearly full is no concern of a cluster that keeps nothing on it.
    'mon_data_avail_crit = 1',
    'mon_data_avail_warn = 1',
    `admin_socket = ${folder}/$name.asok`,
    `log_file = ${folder}/$name.log`,
    `pid_file = ${folder}/$name.pid`,
    `mon_data = ${folder}/mon`,
    `osd_data = ${folder}/osd`,
    `rgw_data = ${folder}/rgw`,
    'client_mount_timeout = 30',
    `rgw_frontends = beast endpoint=127.0.0.1:${gatewayPort}`,
    '',
  ];
  await writeFile(join(folder, 'ceph.conf'), lines.join('\n'));
  await Promise.all(['mon', 'osd', 'rgw'].map((name) => mkdir(join(folder, name))));
}

async function startMonitor(folder: string, port: number): Promise<ChildProcess> {
  const keyring = join(folder, 'keyring');
  const key = (name: string, caps: Readonly<Record<string, string>>): Promise<unknown> => {
    const rights = Object.entries(caps).flatMap(([daemonName, cap]) => ['--cap', daemonName, cap]);
    return tool(folder, 'ceph-authtool', [keyring, '--gen-key', '-n', name, ...rights]);
  };
  await tool(folder, 'ceph-authtool', [keyring, '--create-keyring']);
  await key('mon.', { mon: 'allow *' });
  await key('client.admin', { mon: 'allow *', osd: 'allow *', mgr: 'allow *' });
  await key('osd.0', { mon: 'allow profile osd', osd: 'allow *', mgr: 'allow profile osd' });
  await key('client.rgw', { mon: 'allow rwx', osd: 'allow rwx' });
  const map = join(folder, 'monmap');
  const fsid = (await tool(folder, 'ceph-conf', ['--lookup', 'fsid'])).trim();
  await tool(folder, 'monmaptool', [
    '--create',
    '--fsid',
    fsid,
    '--addv',
    'a',
    `[v2:127.0.0.1:${port}]`,
    map,
  ]);
  await tool(folder, 'ceph-mon', ['--mkfs', '-i', 'a', '--monmap', map, '--keyring', keyring]);
  const monitor = daemon(folder, 'ceph-mon', ['-i', 'a']);
  await listening('ceph-mon', port, monitor);
  return monitor;
}

async function startOsd(folder: string): Promise<ChildProcess> {
  const id = randomUUID();
  await tool(folder, 'ceph', ['osd', 'new', id]);
  await tool(folder, 'ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', id]);
  return daemon(folder, 'ceph-osd', ['-i', '0']);
}

function daemon(folder: string, program: string, args: readonly string[]): ChildProcess {
  return spawn(program, ['-f', '-c', join(folder, 'ceph.conf'), ...args], { stdio: 'ignore' });
}

async function tool(folder: string, program: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, CEPH_CONF: join(folder, 'ceph.conf') };
  return (await run(program, args, { env, timeout: 60_000 })).stdout;
}

async function end(folder: string, processes: readonly ChildProcess[]): Promise<void> {
  await Promise.all(processes.map(kill));
  await rm(folder, { recursive: true, force: true });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}
