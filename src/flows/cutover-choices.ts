/** What a cutover was told to do; kept with its state, so that whoever goes on with it needs to be told nothing. */
import type { Conversion, HealthProbe } from '../hypervisors/index.ts';
import type { MachineChoices } from '../machines/index.ts';

export interface CutoverChoices {
  /** Address of what runs the VM afterwards. */
  readonly hypervisor: string;
  /** For its clone; absolute. */
  readonly folder: string;
  /** Cycles are run until one changes no more than this. */
  readonly deltaTargetBytes: number;
  /** How many at most. */
  readonly preCopiesMax: number;
  /** How long its guest may take to shut down. */
  readonly shutdownSeconds: number;
  readonly verify: CutoverVerify;
  /** Go without disks that cannot be captured. */
  readonly skipUnprotectable: boolean;
  /** Of the machine there. */
  readonly machine: Omit<MachineChoices, 'devices'>;
  /** What is done to the clone before it starts. */
  readonly conversion: Conversion;
  /** What shows that the machine on the other side is well. */
  readonly probe: HealthProbe;
  /** How long it may take; with `running`, how long it has to run. */
  readonly probeSeconds: number;
}

export const CUTOVER_VERIFIES = ['sample', 'full', 'none'] as const;
export type CutoverVerify = (typeof CUTOVER_VERIFIES)[number];
