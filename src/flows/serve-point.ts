/**
 * The disks of a restore point, served by NBD: booted or looked into at once, without restoring them first.
 *
 *   repository ─► disk of the point ─► [overlay: what is written goes to a folder] ─► NBD export by the disk's name
 *
 * Nothing is read before a client asks; then the map's path to the place, a page a level, and the chunk. Disks share threads that
 * decode chunks, and memory for decoded ones: `cacheBytes`. While it serves, the collector deletes nothing.
 */
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GiB, MiB, type Warning } from '../base/index.ts';
import type { CallOptions, Disk, RangeWriter } from '../disk/index.ts';
import { NbdServer, type NbdPlace, type NbdServerTls, type ServedDisk } from '../nbd/index.ts';
import { OverlayDisk } from '../overlay/index.ts';
import {
  warningsOfReading,
  type ChunkReader,
  type PointDisk,
  type Repository,
  type RestorePoint,
} from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { chosenDisks, type ChosenDisk } from './point-disks.ts';

export interface ServeRequest extends CallOptions {
  readonly point: RestorePoint;
  /** Numbers (from 1), VirtualDiskIds or file names of disks; all when left out. */
  readonly disks?: readonly string[];
  /** Where clients connect. Left out: a unix socket in a folder of its own, that only this user can enter. */
  readonly place?: NbdPlace;
  readonly tls?: NbdServerTls;
  /** What is written goes to this folder, one folder a disk, made when missing; an earlier run's is gone on with. Left out: read-only. */
  readonly overlay?: string;
  /** Memory for decoded chunks, of all disks together. Default: an eighth of what is free, from 128 MiB to 1 GiB. */
  readonly cacheBytes?: number;
  /** A request failed; its client learns no more than that. */
  readonly onError?: (error: unknown) => void;
}

export interface ServedExport {
  readonly diskId: string;
  /** Bytes. */
  readonly size: number;
  /** For any program that speaks NBD. */
  readonly address: string;
  /** The folder of what is written; absent when nothing can be. */
  readonly overlay?: string;
}

export class PointServer implements AsyncDisposable {
  readonly exports: readonly ServedExport[];
  /** What is to be known though the disks are served. */
  readonly warnings: readonly Warning[];
  readonly #parts: AsyncDisposableStack;

  constructor(exports: readonly ServedExport[], warnings: readonly Warning[], parts: AsyncDisposableStack) {
    this.exports = exports;
    this.warnings = warnings;
    this.#parts = parts;
  }

  /** Cuts clients off, makes what was written durable, removes the socket. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

/** Throws `REPO_POINT_NOT_FOUND`, `FLOW_NO_SUCH_DISK`, `FLOW_SERVED_OPENLY`, `NBD_LISTEN_FAILED`, `OVERLAY_OTHER_BASE`, `OVERLAY_NOT_ONE`. */
export async function servePoint(repository: Repository, request: ServeRequest): Promise<PointServer> {
  refuseOpenly(request);
  await using parts = new AsyncDisposableStack();
  const chosen = chosenDisks(request.point, request.disks);
  const reading = parts.use(await repository.startReading(request.point, request));
  const opened: OpenedDisk[] = [];
  const chunks = parts.use(repository.chunkReader({ cacheBytes: request.cacheBytes ?? defaultCacheBytes() }));
  for (const each of chosen) {
    const disk = await openDisk(repository, request, each, chunks);
    parts.defer(() => disk.served.disk.close());
    opened.push(disk);
  }
  const place = request.place ?? (await privateSocket(parts));
  const { tls, onError } = request;
  const explained = (error: unknown): void => void reading.explain(error).then(onError);
  const server = await NbdServer.listen(place, {
    exports: exportsOf(opened),
    ...(tls ? { tls } : {}),
    ...(onError ? { onError: explained } : {}),
  });
  parts.use(server);
  const exports = opened.map((disk) => describe(disk, server.place, tls !== undefined));
  return new PointServer(exports, warningsOfReading(reading), parts.move());
}

/**
 * Reads of what is not kept end at what two processors decode, 75 MiB/s; reads of what is kept at 400 MiB/s and more. A guest that
 * works reads around in more than 128 MiB, and where it runs there is memory, mostly.
 */
export function defaultCacheBytes(freeBytes = process.availableMemory()): number {
  return Math.min(GiB, Math.max(128 * MiB, Math.floor(freeBytes / 8)));
}

/** Whoever can reach the port reads every disk of the VM: not on a network without TLS. */
function refuseOpenly({ place, tls }: ServeRequest): void {
  if (place?.kind !== 'tcp' || tls) return;
  if (!['localhost', '127.0.0.1', '::1'].includes(place.host))
    throw flowFaults.servedOpenly({ host: place.host });
}

interface OpenedDisk {
  readonly chosen: ChosenDisk;
  readonly served: ServedDisk;
  readonly overlay: string | undefined;
}

async function openDisk(
  repository: Repository,
  { point, overlay }: ServeRequest,
  chosen: ChosenDisk,
  chunks: ChunkReader,
): Promise<OpenedDisk> {
  const { disk, name } = chosen;
  const reader = repository.openDisk(disk.root, disk.size, { ...disk, chunks });
  const description = `${point.vm.name} of ${point.created}, ${disk.path}`;
  if (overlay === undefined) return { chosen, served: { disk: reader, description }, overlay };
  try {
    const folder = join(overlay, name);
    const writable = await openOverlay(overlay, folder, reader, identityOf(point, disk));
    return { chosen, served: { disk: writable, writer: writable, description }, overlay: folder };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function identityOf(point: RestorePoint, disk: PointDisk): string {
  return `restore point ${point.id}, disk ${disk.diskId.toLowerCase()}`;
}

async function openOverlay(
  parent: string,
  folder: string,
  disk: Disk,
  identity: string,
): Promise<Disk & RangeWriter> {
  try {
    await mkdir(parent, { recursive: true });
  } catch (error) {
    throw flowFaults.noFolder({ path: parent, reason: (error as Error).message }, { cause: error });
  }
  const there = await stat(folder).catch(() => undefined);
  return there
    ? OverlayDisk.open(folder, { disk, identity })
    : OverlayDisk.create(folder, { disk, identity });
}

/** Only its owner can enter the folder, so nobody else reaches the socket. */
async function privateSocket(parts: AsyncDisposableStack): Promise<NbdPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-serve-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  return { kind: 'unix', path: join(folder, 'nbd.sock') };
}

/** By name; the only one also without a name, which is what most programs ask for. */
function exportsOf(opened: readonly OpenedDisk[]): Map<string, ServedDisk> {
  const exports = new Map(opened.map(({ chosen, served }) => [chosen.name, served]));
  if (opened.length === 1) exports.set('', opened[0]!.served);
  return exports;
}

function describe({ chosen, overlay }: OpenedDisk, place: NbdPlace, secure: boolean): ServedExport {
  const { diskId, size } = chosen.disk;
  const scheme = secure ? 'nbds' : 'nbd';
  const name = encodeURIComponent(chosen.name);
  const address =
    place.kind === 'unix'
      ? `${scheme}+unix:///${name}?socket=${place.path}`
      : `${scheme}://${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}/${name}`;
  return { diskId, size, address, ...(overlay === undefined ? {} : { overlay }) };
}
