/**
 * A whole lab: the host, the wire clients speak to, and the control API, on loopback.
 *
 *   await using lab = await createLab({ folder });
 *   lab.url, lab.user, lab.passwordFile        what a client of the host needs
 *   lab.host.createVm(...)                     what a test steers
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openCluster, type LabCluster } from '../cluster/index.ts';
import { qemuGuests } from '../guest-qemu/index.ts';
import { LabFailure, LabHost, RETURN, type LabHostOptions } from '../model/index.ts';
import type { Wire, WireFaultRule, WireFaults, WireTraits } from '../wire/index.ts';
import { connectFolder } from './client.ts';
import type { LabAddress } from './methods.ts';
import { nodeMethods, type NodeAddress, type NodeMethods } from './nodes.ts';
import { startControl } from './server.ts';
import { startWires, type WiresOptions } from './wires.ts';

export interface CreateLabOptions extends LabHostOptions {
  /** Everything the host keeps: disks, ground truth, state, password. */
  readonly folder: string;
  /** A cluster of so many nodes; default: what the folder holds, else a single host. */
  readonly nodes?: number;
  /** Of the WS-Management endpoint, or of that of the first node; default: a free one. */
  readonly port?: number;
  /** Default: a free one. */
  readonly controlPort?: number;
  /** Default `labadmin`. */
  readonly user?: string;
  readonly traits?: Partial<WireTraits>;
  /** A user whose token is filtered by UAC: every answer to it is empty. It has the same password. */
  readonly filteredUser?: string;
}

export interface Lab extends LabAddress {
  readonly host: LabHost;
  readonly wire: Wire;
  /** Of a cluster; as `hvlift lab vm move`. */
  readonly moveVm: NodeMethods['moveVm'];
  /** Resolves when somebody asked the lab to stop over its control API. */
  readonly stopAsked: Promise<void>;
  addWireFault(rule: WireFaultRule): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function createLab(options: CreateLabOptions): Promise<Lab> {
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true });
  await refuseSecond(folder);
  await using parts = new AsyncDisposableStack();
  const host = await LabHost.open(folder, { startGuest: qemuGuests(folder), ...options });
  parts.defer(() => host.close());
  const cluster = await openCluster(folder, host, options.nodes);
  if (cluster) await host.configure({ disksFolder: SHARED_FOLDER });
  const faults: WireFaults = [];
  const secrets = await secretsIn(folder, options.user ?? 'labadmin');
  const users = usersOf(options, secrets);
  const wires = await startWires(host, cluster, { ...options, users, faults }, parts);
  const [wire] = wires;
  const nodes = cluster ? nodeAddresses(cluster, wires) : [];
  const steering = nodeMethods(cluster, nodes);
  const stopAsked = Promise.withResolvers<void>();
  const addWireFault = (rule: WireFaultRule): void => void faults.push(rule);
  const control = await startControl({
    host,
    token: secrets.token,
    port: options.controlPort ?? 0,
    process: {
      ...steering,
      addWireFault: (rule) => Promise.resolve(addWireFault(rule)),
      wireStats: () => Promise.resolve(wire.stats),
      stop: () => Promise.resolve(stopAsked.resolve()),
    },
  });
  parts.defer(() => control.close());
  const { user, passwordFile, controlTokenFile } = secrets;
  const address: LabAddress = {
    url: wire.url,
    ...(cluster ? { nodes } : {}),
    controlUrl: control.url,
    user,
    passwordFile,
    controlTokenFile,
    mappings: await mappingsOf(host.volumesFolder),
    pid: process.pid,
  };
  const addressFile = join(folder, 'lab.json');
  await writeFile(addressFile, `${JSON.stringify(address, null, 2)}\n`, { mode: 0o600 });
  parts.defer(() => rm(addressFile, { force: true }));
  const owned = parts.move();
  const close = (): Promise<void> => owned.disposeAsync();
  return {
    ...address,
    host,
    wire,
    moveVm: (vm, node) => steering.moveVm(vm, node),
    stopAsked: stopAsked.promise,
    addWireFault,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Where the disks of a cluster lie: on storage that all nodes see. */
const SHARED_FOLDER = String.raw`C:\ClusterStorage\Volume1`;

/** Two processes on one folder would each write its own version of the host. */
async function refuseSecond(folder: string): Promise<void> {
  const running = await connectFolder(folder)
    .then((client) => client.vms())
    .catch(() => undefined);
  if (running) throw new LabFailure(RETURN.inUse, `a lab runs in ${folder} already`);
}

interface Secrets {
  readonly user: string;
  readonly password: string;
  readonly passwordFile: string;
  readonly token: string;
  readonly controlTokenFile: string;
}

async function secretsIn(folder: string, user: string): Promise<Secrets> {
  const passwordFile = join(folder, 'password');
  const controlTokenFile = join(folder, 'control-token');
  const password = await secretIn(passwordFile);
  return { user, password, passwordFile, token: await secretIn(controlTokenFile), controlTokenFile };
}

function usersOf({ filteredUser }: CreateLabOptions, { user, password }: Secrets): WiresOptions['users'] {
  const filtered = filteredUser === undefined ? [] : [{ user: filteredUser, password, filtered: true }];
  return [{ user, password }, ...filtered];
}

function nodeAddresses({ nodes }: LabCluster, wires: readonly Wire[]): NodeAddress[] {
  return nodes.map((name, index) => ({ name, url: wires[index]!.url }));
}

/** `C:`, and every other drive that was used. */
async function mappingsOf(volumesFolder: string): Promise<LabAddress['mappings']> {
  await mkdir(join(volumesFolder, 'C'), { recursive: true });
  const drives = (await readdir(volumesFolder)).sort();
  return drives.map((drive) => ({ from: `${drive}:\\`, to: join(volumesFolder, drive) }));
}

/** The secret in the file; on the first start one is made. Mode 0600, never printed. */
export async function secretIn(path: string): Promise<string> {
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known !== undefined) return known.trim();
  const secret = randomBytes(18).toString('base64url');
  await writeFile(path, `${secret}\n`, { mode: 0o600, flag: 'wx' });
  return secret;
}
