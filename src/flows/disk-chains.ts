/** The chains of files on which the disks of a VM lie now: how deep, and how much of them came with checkpoints. */
import { isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { HyperV } from '../hyperv/index.ts';

export interface DiskChains {
  /** Of the deepest chain; 1 without checkpoints. */
  readonly chainFiles: number;
  /** Files that checkpoints made, on all chains. */
  readonly avhdxFiles: number;
  readonly avhdxBytes: number;
  readonly paths: readonly string[];
  /** Why a chain could not be followed to its end. */
  readonly problems: readonly string[];
}

/** A host allows 50 checkpoints of a VM; a chain that leads back to itself ends here. */
const FILES_MAX = 100;
const isAvhdx = (path: string): boolean => /\.avhdx?$/i.test(path);

/** One that consists of a single file, as most do, costs no question of its own. */
export async function readDiskChains(
  hyperv: HyperV,
  vmId: string,
  options: CallOptions,
): Promise<DiskChains> {
  const disks = (await hyperv.disks(vmId, options)).filter(({ kind }) => kind === 'virtual');
  const chains: Chain[] = [];
  for (const { path } of disks) chains.push(await chainOf(hyperv, path, options));
  const sum = (of: (chain: Chain) => number): number => chains.reduce((total, chain) => total + of(chain), 0);
  return {
    chainFiles: Math.max(0, ...chains.map(({ files }) => files)),
    avhdxFiles: sum(({ avhdxFiles }) => avhdxFiles),
    avhdxBytes: sum(({ avhdxBytes }) => avhdxBytes),
    paths: disks.map(({ path }) => path),
    problems: chains.flatMap(({ problem }) => problem ?? []),
  };
}

interface Chain {
  files: number;
  avhdxFiles: number;
  avhdxBytes: number;
  problem?: string;
}

async function chainOf(hyperv: HyperV, leaf: string, options: CallOptions): Promise<Chain> {
  const chain: Chain = { files: 1, avhdxFiles: 0, avhdxBytes: 0 };
  try {
    for (let path = leaf; isAvhdx(path) && chain.files < FILES_MAX;) {
      chain.avhdxFiles += 1;
      chain.avhdxBytes += await hyperv.diskFileBytes(path, options);
      const { parentPath } = await hyperv.diskInfo(path, options);
      if (parentPath === undefined) break;
      chain.files += 1;
      path = parentPath;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isFault(error) || error.kind === 'bug') throw error;
    chain.problem = `${leaf}: ${error.message}`;
  }
  return chain;
}
