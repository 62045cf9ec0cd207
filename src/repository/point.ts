/**
 * Restore points: what a committed backup of one VM says about itself. A point with no manifest does not exist.
 *
 * A manifest is canonical JSON, sealed as one object and named by time and a random id. Its digest covers every field under
 * a key of the repository, and the roots in it cover every byte of every disk, so two equal digests mean equal disks.
 */
import type { AuditMark } from './audit-sweep.ts';
import { canonicalJson, type Json } from './canonical-json.ts';
import { FORMAT_VERSION } from './format.ts';
import { manifestDigest, type RepositoryKeys } from './keys.ts';
import type { IngestStats } from './ingest.ts';
import type { MapRoot } from './map-root.ts';
import { damagedRecord } from './sealed-record.ts';

export interface PointFile {
  /** On the host. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly blob: string;
}

export interface PointVm {
  /** GUID, lower case. */
  readonly id: string;
  readonly name: string;
  /** Computer name of the host it ran on. */
  readonly host: string;
  readonly generation?: number | undefined;
  readonly configurationVersion?: string | undefined;
  /** Blob that holds the VM's settings. */
  readonly configuration: string;
  /** Files of the host with those settings, each a blob; absent when none could be had. */
  readonly files?: readonly PointFile[] | undefined;
}

export type PointConsistency = 'application' | 'file-system' | 'crash' | 'offline';
export type PointPolicy = 'application-preferred' | 'application-required' | 'crash';

export interface PointDisk {
  /** VirtualDiskId: the disk's identity, never its path or slot. */
  readonly diskId: string;
  readonly attachment: Json | { readonly [key: string]: unknown };
  /** On the host, the file that was read. */
  readonly path: string;
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  /** Of the host's files: `vhdx`, `vhd`. */
  readonly format?: string | undefined;
  readonly root: MapRoot;
  /** `compare`: all that is allocated was read, and only what differs from an earlier restore point was stored. */
  readonly kind: 'full' | 'compare' | 'delta';
  /** Why it was read in full or compared, or since when the changes count. */
  readonly reason: string;
  /** Absent until the first increment that was audited. */
  readonly audit?: AuditMark | undefined;
  /** Restore points in which an audit found this disk to lack changes; carried on as long as one of them exists. */
  readonly suspectPoints?: readonly string[] | undefined;
  /** Bytes of the host's files that hold the disk. */
  readonly hostFileBytes?: number | undefined;
  readonly stats?: IngestStats | undefined;
}

/** A disk the VM had and the restore point has not. */
export interface PointLeftOut {
  readonly attachment: Json | { readonly [key: string]: unknown };
  readonly diskId?: string | undefined;
  /** On the host. */
  readonly path: string;
  /** `asked`: the run was about other disks; `unprotectable`: no checkpoint could hold it, or it could not be read. */
  readonly reason: string;
  /** One sentence for people. */
  readonly why: string;
}

export interface PointDraft {
  readonly runId: string;
  /** The restore point the deltas are relative to. */
  readonly parent?: string | undefined;
  /** Who made it: a policy with baselines of its own; absent: the repository's unnamed consumer. */
  readonly consumer?: string | undefined;
  readonly vm: PointVm;
  readonly consistency: {
    readonly asked: PointPolicy;
    readonly reached: PointConsistency;
    /** Applications of the guest were told that they may truncate their logs; absent: they were told not to. */
    readonly truncatedLogs?: true | undefined;
  };
  readonly disks: readonly PointDisk[];
  /** Id of the restore point that this one holds the very content of, read by fewer pieces: see fold.ts. */
  readonly foldedFrom?: string | undefined;
  /** Absent when every disk of the VM is in it. */
  readonly leftOut?: readonly PointLeftOut[] | undefined;
}

export interface RestorePoint extends PointDraft {
  readonly formatVersion: number;
  /** 16 hexadecimal digits. */
  readonly id: string;
  /**
   * ISO 8601, UTC. Later than every point of the VM before it, whatever the clock said. One that was folded stands a millisecond
   * behind the point it was folded from, since its content is as old.
   */
  readonly created: string;
  readonly digest: string;
}

const POINT_NAME = /^points\/([0-9a-f]{16})\/(\d{8}t\d{6}\.\d{3}z)-([0-9a-f]{16})$/;

export interface PointName {
  /** As an object of the store. */
  readonly name: string;
  /** The VM's folder. */
  readonly folder: string;
  readonly stamp: string;
  readonly id: string;
  /** Bytes of the object, where it was listed. */
  readonly size?: number;
}

/** Undefined for names that no point can have: files that others put there. */
export function parsePointName(name: string): PointName | undefined {
  const match = POINT_NAME.exec(name);
  return match ? { name, folder: match[1]!, stamp: match[2]!, id: match[3]! } : undefined;
}

/** `2026-11-23T09:38:24.123Z` → `20261123t093824.123z`: sorts by time, and is a valid name on every store. */
export function stampOf(time: Date): string {
  return time.toISOString().replaceAll(/[-:]/g, '').toLowerCase();
}

export function stampTime(stamp: string): Date {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)([\d.]+)z$/.exec(stamp)!;
  return new Date(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
}

export function signPoint(
  keys: RepositoryKeys,
  draft: PointDraft,
  identity: { id: string; created: Date },
): RestorePoint {
  const unsigned = {
    ...(JSON.parse(canonicalJson(draft)) as PointDraft),
    formatVersion: FORMAT_VERSION,
    id: identity.id,
    created: identity.created.toISOString(),
  };
  return { ...unsigned, digest: manifestDigest(keys, canonicalJson(unsigned)) };
}

/** Throws `REPO_POINT_DAMAGED` unless the value is a manifest of ours and belongs under this name. */
export function checkPoint(
  keys: RepositoryKeys,
  value: Record<string, unknown>,
  { name, id, stamp, folder }: PointName,
  folderOf: (vmId: string) => string,
): RestorePoint {
  const { digest, ...unsigned } = value as unknown as RestorePoint;
  if (unsigned.formatVersion !== FORMAT_VERSION)
    throw damagedRecord(name, `it has format ${unsigned.formatVersion}`);
  if (digest !== manifestDigest(keys, canonicalJson(unsigned)))
    throw damagedRecord(name, 'its digest is wrong');
  const belongs =
    unsigned.id === id &&
    stampOf(new Date(unsigned.created)) === stamp &&
    folderOf(unsigned.vm.id) === folder;
  if (!belongs) throw damagedRecord(name, 'it is another restore point under this name');
  return value as unknown as RestorePoint;
}
