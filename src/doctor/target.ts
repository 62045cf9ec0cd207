/** The host a diagnosis is made of, as the caller would reach it for a backup. */
import type { HostFiles } from '../hostfile/index.ts';
import type { ClusterFacts } from '../hyperv/index.ts';
import type { WinrmOptions } from '../winrm/index.ts';

export interface DoctorTarget {
  /** How WinRM is reached and who logs on; `auth` as configured. */
  readonly winrm: Omit<WinrmOptions, 'signal' | 'tap' | 'pageSize'>;
  /** TCP ports a backup needs to reach from here. */
  readonly ports: readonly DoctorPort[];
  /** The way to the files; opened once, closed by the diagnosis. */
  readonly openFiles: () => HostFiles;
  /** How a backup would reach a node of the cluster that this host turns out to be in. Without it the others are not looked at. */
  readonly nodeOf?: (facts: ClusterFacts, node: string) => Promise<NodeTarget>;
}

/** Disposed of once the node was looked at. */
export type NodeTarget = DoctorTarget & AsyncDisposable;

export interface DoctorPort {
  readonly use: 'winrm' | 'smb' | 'ssh';
  readonly host: string;
  readonly port: number;
}
