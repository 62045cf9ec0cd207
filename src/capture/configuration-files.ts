/**
 * The files in which the host keeps the settings of a VM, as its checkpoint has them: `.vmcx` settings, `.vmgs` state of the
 * firmware with the virtual TPM, `.vmrs` state of devices.
 *
 * They are an extra: the settings as data are in every restore point. Where no configured way leads to their folder, or there
 * is none (a VM of generation 1 has no `.vmgs`), they are left out; where one cannot be read, that is a warning.
 */
import { isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import { captureFaults } from './faults.ts';
import type { ConfigurationFile } from './source.ts';

const EXTENSIONS = ['vmcx', 'vmgs', 'vmrs'] as const;
/** One object of a repository. Settings take 100 KiB, firmware state 4 MiB; what is larger is the memory of a saved VM. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
const NOT_THERE = new Set([
  'HOSTFILE_NO_MAPPING',
  'HOSTFILE_NO_SHARE',
  'HOSTFILE_NOT_FOUND',
  'HOSTFILE_BAD_PATH',
]);

export interface ConfigurationFiles {
  readonly files: readonly ConfigurationFile[];
  readonly warnings: readonly Warning[];
}

/** `root`: the folder of checkpoints' settings. Every file is closed again when this resolves. */
export async function readConfigurationFiles(
  hostFiles: HostFiles,
  checkpointId: string,
  root: string,
  options: CallOptions,
): Promise<ConfigurationFiles> {
  const files: ConfigurationFile[] = [];
  const warnings: Warning[] = [];
  const name = checkpointId.replace(/^Microsoft:/, '');
  for (const extension of EXTENSIONS) {
    const path = `${root.replace(/\\+$/, '')}\\Snapshots\\${name}.${extension}`;
    try {
      files.push({ path, bytes: await readWhole(hostFiles, path, options) });
    } catch (error) {
      if (!isFault(error)) throw error;
      if (NOT_THERE.has(error.code)) continue;
      const fault = captureFaults.configurationFileUnread({ path, reason: error.message });
      warnings.push(warningOf(fault));
    }
  }
  return { files, warnings };
}

async function readWhole(hostFiles: HostFiles, path: string, options: CallOptions): Promise<Uint8Array> {
  const reader = await hostFiles.open(path, options);
  try {
    if (reader.size > FILE_BYTES_MAX)
      throw captureFaults.configurationFileTooLarge({ path, bytes: reader.size, most: FILE_BYTES_MAX });
    const bytes = new Uint8Array(reader.size);
    if (bytes.length > 0) await reader.read(0, bytes, options);
    return bytes;
  } finally {
    await reader.close();
  }
}
