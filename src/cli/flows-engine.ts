/** The engine of the real program: what works on a host alone, on a repository, and on a disk file. */
import { checkDisk, repairDisk } from '../flows/index.ts';
import type { Engine } from './engine.ts';
import { createHostEngine } from './host-engine.ts';
import type { CliIo } from './io.ts';
import { repositoryEngine } from './repository-engine.ts';
import { stateFolder } from './state-path.ts';

const diskEngine: Pick<Engine, 'checkDisk'> = {
  async checkDisk({ path, repairTo }, task) {
    const checked = await checkDisk(path, task);
    if (repairTo === undefined) return checked;
    await repairDisk(path, repairTo, task);
    return { ...checked, repairedTo: repairTo };
  },
};

export function openEngine(io: Pick<CliIo, 'env' | 'platform' | 'homeFolder'>): Engine {
  return { ...createHostEngine(stateFolder(io)), ...repositoryEngine, ...diskEngine };
}
