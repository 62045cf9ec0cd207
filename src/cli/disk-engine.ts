/** The part of the engine that works on disk files. */
import {
  checkDisk,
  compareDisks,
  convertDisk,
  convertStream,
  diskInfo,
  hashDisk,
  mapDisk,
  repairDisk,
} from '../flows/index.ts';
import type { DiskEngine } from './engine.ts';

export const diskEngine: DiskEngine = {
  async checkDisk({ path, parentFolders, repairTo }, task) {
    const checked = await checkDisk(path, { parentFolders, ...task });
    if (repairTo === undefined) return checked;
    await repairDisk(path, repairTo, task);
    return { ...checked, repairedTo: repairTo };
  },
  diskInfo: ({ path, parentFolders }, task) => diskInfo(path, { parentFolders, ...task }),
  mapDisk: ({ path, ...options }, task, use) => mapDisk(path, { ...options, ...task }, use),
  convertDisk: ({ path, ...request }, task) => convertDisk({ source: path, ...request, ...task }),
  convertStream: ({ path, ...request }, task) => convertStream({ source: path, ...request, ...task }),
  compareDisks: ({ path, other, ...options }, task) => compareDisks(path, other, { ...options, ...task }),
  hashDisk: ({ path, ...options }, task) => hashDisk(path, { ...options, ...task }),
};
