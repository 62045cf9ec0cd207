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
import { qemuGuests } from '../guest-qemu/index.ts';
import { LabFailure, LabHost, RETURN, type LabHostOptions } from '../model/index.ts';
import { startWire, type Wire, type WireFaultRule, type WireFaults, type WireTraits } from '../wire/index.ts';
import { connectFolder } from './client.ts';
import type { LabAddress } from './methods.ts';
import { startControl } from './server.ts';

export interface CreateLabOptions extends LabHostOptions {
  /** Everything the host keeps: disks, ground truth, state, password. */
  readonly folder: string;
  /** Of the WS-Management endpoint; default: a free one. */
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
  const faults: WireFaults = [];
  const secrets = await secretsIn(folder, options.user ?? 'labadmin');
  const wire = await wireOf(host, options, secrets, faults);
  parts.defer(() => wire.close());
  const stopAsked = Promise.withResolvers<void>();
  const addWireFault = (rule: WireFaultRule): void => void faults.push(rule);
  const control = await startControl({
    host,
    token: secrets.token,
    port: options.controlPort ?? 0,
    process: {
      addWireFault: (rule) => Promise.resolve(addWireFault(rule)),
      wireStats: () => Promise.resolve(wire.stats),
      stop: () => Promise.resolve(stopAsked.resolve()),
    },
  });
  parts.defer(() => control.close());
  const { user, passwordFile, controlTokenFile } = secrets;
  const address: LabAddress = {
    url: wire.url,
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
    stopAsked: stopAsked.promise,
    addWireFault,
    close,
    [Symbol.asyncDispose]: close,
  };
}

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

function wireOf(
  host: LabHost,
  options: CreateLabOptions,
  secrets: Secrets,
  faults: WireFaults,
): Promise<Wire> {
  const { user, password } = secrets;
  const filtered = options.filteredUser;
  return startWire({
    provider: host.provider,
    users: [
      { user, password },
      ...(filtered === undefined ? [] : [{ user: filtered, password, filtered: true }]),
    ],
    port: options.port ?? 0,
    traits: { language: host.options.language, ...options.traits },
    faults,
  });
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
