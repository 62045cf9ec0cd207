/** What the stages of the demo share. */
import type { LabClient } from '../control/index.ts';
import type { ClientStack } from './client-stack.ts';
import type { Content } from './disk-image.ts';
import type { DemoPlan } from './plan.ts';
import type { Screen } from './screen.ts';

export const VM = 'sql01';

export interface DemoOptions {
  readonly plan: DemoPlan;
  readonly screen: Screen;
  /** Where programs of this machine are looked for. */
  readonly programFolders: readonly string[];
  /** Told what has to go when the demo is ended from outside: its folder, and how to end its host at once. */
  readonly onFolder?: (folder: string) => void;
  readonly onHost?: (kill: () => void) => void;
}

export interface DemoContext extends DemoOptions {
  readonly lab: LabClient;
  readonly stack: ClientStack;
  readonly folder: string;
  /** What the disks hold their files in. */
  readonly content: Content;
  /** Everything that is not as it should be. */
  readonly failures: string[];
}
