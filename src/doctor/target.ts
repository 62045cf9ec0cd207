/** The host a diagnosis is made of, as the caller would reach it for a backup. */
import type { HostFiles } from '../hostfile/index.ts';
import type { WinrmOptions } from '../winrm/index.ts';

export interface DoctorTarget {
  /** How WinRM is reached and who logs on; `auth` as configured. */
  readonly winrm: Omit<WinrmOptions, 'signal' | 'tap' | 'pageSize'>;
  /** TCP ports a backup needs to reach from here. */
  readonly ports: readonly DoctorPort[];
  /** The way to the files; opened once, closed by the diagnosis. */
  readonly openFiles: () => HostFiles;
}

export interface DoctorPort {
  readonly use: 'winrm' | 'smb' | 'ssh';
  readonly host: string;
  readonly port: number;
}
