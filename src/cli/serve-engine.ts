/** The part of the engine that serves restore points by NBD. */
import { readFile } from 'node:fs/promises';
import { machineOfPoint, servePoint as serve } from '../flows/index.ts';
import { runQemu } from '../machines/index.ts';
import type { NbdServerTls } from '../nbd/index.ts';
import type { Engine, ServeTls } from './engine.ts';
import { cliFaults } from './faults.ts';
import { doubtsOf, openRepositoryOf, selectPoint } from './repository-engine.ts';

export const serveEngine: Pick<Engine, 'servePoint' | 'runMachine'> = {
  async servePoint(request, task, use) {
    const { repository: access, point: selector, disks, place, tls, overlay, cacheBytes } = request;
    const repository = await openRepositoryOf(access, task);
    const point = await selectPoint(repository, selector, task);
    await using server = await serve(repository, {
      point,
      onError: (error) => task.progress.note(error instanceof Error ? error.message : String(error)),
      signal: task.signal,
      ...(disks.length > 0 ? { disks } : {}),
      ...(place ? { place } : {}),
      ...(tls ? { tls: await readTls(tls) } : {}),
      ...(overlay === undefined ? {} : { overlay }),
      ...(cacheBytes === undefined ? {} : { cacheBytes }),
    });
    const exports = server.exports.map(({ diskId, ...each }) => ({
      number: point.disks.findIndex((disk) => disk.diskId === diskId) + 1,
      id: diskId,
      ...each,
    }));
    const machine =
      request.machine && overlay !== undefined
        ? await machineOfPoint(repository, { point, exports: server.exports, overlay }, request.machine, task)
        : undefined;
    await use({
      pointId: point.id,
      vm: { id: point.vm.id, name: point.vm.name },
      consistency: point.consistency,
      created: point.created,
      exports,
      ...(machine ? { machine } : {}),
      warnings: [...server.warnings, ...(await doubtsOf(repository, { point, disks }, task))],
    });
  },
  runMachine: (command, task) => runQemu(command, task),
};

async function readTls({ certificateFile, keyFile, clientsFile }: ServeTls): Promise<NbdServerTls> {
  const clientCa = clientsFile === undefined ? {} : { clientCa: await readPem(clientsFile) };
  return { cert: await readPem(certificateFile), key: await readPem(keyFile), ...clientCa };
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw cliFaults.certificateUnreadable({ path, reason: (error as Error).message }, { cause: error });
  }
}
