/**
 * What a restore point keeps of its VM beside the disks: the settings as data, and the files in which the host has them.
 *
 *   backup   settings ─► blob      files of the host ─► a blob each, named in the manifest
 *   restore  vm.json               `host-files/`, by the names they had
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFault, warningOf, type Warning } from '../base/index.ts';
import type { Capture } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { imageFault } from '../images/index.ts';
import type { PointFile, PointVm, Repository, RestorePoint, WriteSession } from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { fileNameOf } from './point-disks.ts';

export const HOST_FILES_FOLDER = 'host-files';

export interface StoredSettings {
  readonly vm: PointVm;
  readonly warnings: readonly Warning[];
}

/** After the disks: the host's files settle late. */
export async function storeSettings(
  session: Pick<WriteSession, 'putBlob'>,
  capture: Capture,
  options: CallOptions,
): Promise<StoredSettings> {
  const configuration = await session.putBlob(Buffer.from(JSON.stringify(capture.configuration)));
  const found = await capture.configurationFiles?.(options);
  const files: PointFile[] = [];
  for (const { path, bytes } of found?.files ?? [])
    files.push({ path, size: bytes.length, blob: await session.putBlob(bytes) });
  return {
    vm: { ...capture.vm, configuration, ...(files.length > 0 ? { files } : {}) },
    warnings: found?.warnings ?? [],
  };
}

export interface HostFileCopy {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Damage to one of them must not keep anybody from the disks: it becomes a warning. */
export async function readHostFiles(
  repository: Repository,
  { vm }: RestorePoint,
  options: CallOptions,
): Promise<{ readonly files: readonly HostFileCopy[]; readonly warnings: readonly Warning[] }> {
  const files: HostFileCopy[] = [];
  const warnings: Warning[] = [];
  for (const { path, blob } of vm.files ?? []) {
    try {
      const name = fileNameOf(path.split('\\').at(-1)!);
      files.push({ name, bytes: await repository.readBlob(blob, options) });
    } catch (error) {
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      warnings.push(warningOf(flowFaults.hostFileLost({ path, reason: error.message }, { cause: error })));
    }
  }
  return { files, warnings };
}

/** Those of another point in the same folder have other names: a host names them by the GUID of the checkpoint. */
export async function writeHostFiles(folder: string, files: readonly HostFileCopy[]): Promise<void> {
  if (files.length === 0) return;
  const target = join(folder, HOST_FILES_FOLDER);
  try {
    await mkdir(target, { recursive: true });
    for (const { name, bytes } of files) {
      await writeFile(join(target, `${name}.partial`), bytes);
      await rename(join(target, `${name}.partial`), join(target, name));
    }
  } catch (error) {
    throw imageFault(error, target);
  }
}
