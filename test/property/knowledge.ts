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
