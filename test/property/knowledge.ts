/** What the test knows besides what can be seen: whose things are whose, and what each restore point must hold. */
import type { SealState } from '../../lab/model/index.ts';

export interface KnownPoint {
  readonly id: string;
  /** The instant the lab keeps the truth of. */
  readonly seal: SealState;
  /** How often each disk was written or otherwise changed until then; absent when that cannot be told. */
  readonly changes?: ReadonlyMap<string, number>;
  /** Which life of its tracking each disk was in: another one now means that tracking ids were lost since. */
  readonly lives: ReadonlyMap<string, number>;
  /** Slots of each disk that are not the truth, because the host kept back changes; empty without such a host. */
  readonly wrong: Map<string, readonly number[]>;
}

export class Knowledge {
  /** Checkpoints and reference points of others, by InstanceID. */
  readonly foreign = new Set<string>();
  readonly points = new Map<string, KnownPoint>();
  /** Reference points of ours that a run gave up on in so many words: another tool made one at the same time. */
  abandoned = 0;
  /** Seals of checkpoints that others made, by the id of the seal. */
  readonly foreignSeals = new Set<string>();
  mergesHeld = false;
  /** Reference points of ours that others destroyed. */
  pointsLost = 0;
  /** Disks that were taken out and may come back, oldest first. */
  readonly detached: string[] = [];
  #paths = 0;
  readonly #changes = new Map<string, number>();
  readonly #lives = new Map<string, number>();
  /** Points and disks whose moment a revert has taken out of the history of the disk. */
  readonly #undone = new Set<string>();

  /** A path on the host that no disk had. */
  freshPath(): string {
    this.#paths += 1;
    return `C:\\VMs\\moved\\disk-${this.#paths}.vhdx`;
  }

  changed(diskId: string): void {
    count(this.#changes, diskId);
  }

  trackingLost(diskId: string): void {
    count(this.#lives, diskId);
  }

  /** The disk is what it was: whatever was sealed at one of these moments is not the host's past any more. */
  reverted(diskId: string, later: ReadonlySet<string>): void {
    this.changed(diskId);
    for (const point of this.points.values())
      if (later.has(point.seal.id)) this.#undone.add(`${point.id} ${diskId.toLowerCase()}`);
  }

  /** The host can still tell what changed on the disk since the point. */
  isTracked(point: KnownPoint, diskId: string): boolean {
    const id = diskId.toLowerCase();
    return point.lives.get(id) === this.#lives.get(id) && !this.#undone.has(`${point.id} ${id}`);
  }

  changesNow(): ReadonlyMap<string, number> {
    return new Map(this.#changes);
  }

  livesNow(): ReadonlyMap<string, number> {
    return new Map(this.#lives);
  }
}

function count(map: Map<string, number>, diskId: string): void {
  map.set(diskId.toLowerCase(), (map.get(diskId.toLowerCase()) ?? 0) + 1);
}
