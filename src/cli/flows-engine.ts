/** The engine of the real program: what works on a host alone, on a repository, and on a disk file. */
import { join } from 'node:path';
import { backupEngine } from './backup-engine.ts';
import { createCutoverEngine } from './cutover-engine.ts';
import { diskEngine } from './disk-engine.ts';
import { doctorEngine } from './doctor-engine.ts';
import type { Engine } from './engine.ts';
import { createHostEngine } from './host-engine.ts';
import type { CliIo } from './io.ts';
import { keysEngine } from './keys-engine.ts';
import { pointsEngine } from './points-engine.ts';
import { createRehearseEngine } from './rehearse-engine.ts';
import { createReplicateEngine } from './replicate-engine.ts';
import { repositoryEngine } from './repository-engine.ts';
import { retentionEngine } from './retention-engine.ts';
import { serveEngine } from './serve-engine.ts';
import { stateFolder } from './state-path.ts';
import { verifyEngine } from './verify-engine.ts';

export function openEngine(io: Pick<CliIo, 'env' | 'platform' | 'homeFolder'>): Engine {
  return {
    ...createHostEngine(stateFolder(io)),
    ...repositoryEngine,
    ...backupEngine,
    ...verifyEngine,
    ...keysEngine,
    ...pointsEngine,
    ...retentionEngine,
    ...serveEngine,
    ...createReplicateEngine(join(stateFolder(io), 'replicas')),
    ...createRehearseEngine(join(stateFolder(io), 'replicas')),
    ...createCutoverEngine(join(stateFolder(io), 'replicas')),
    ...diskEngine,
    ...doctorEngine,
  };
}
