/** The part of the engine that rehearses replicas. */
import { endKeptRehearsal, findReplica, rehearse } from '../flows/index.ts';
import { openTarget } from '../targets/index.ts';
import type { RehearseEngine } from './rehearse-port.ts';

/** `defaultFolder`: where replicas have their state when the call names no other. */
export function createRehearseEngine(defaultFolder: string): RehearseEngine {
  return {
    async rehearse({ stateFolder = defaultFolder, replica: name, limitSeconds, ...call }, task) {
      const replica = await findReplica(stateFolder, name);
      const target = openTarget(replica.state.target);
      return rehearse({ ...call, ...task, replica, stateFolder, target, limitMs: limitSeconds * 1000 });
    },
    async endRehearsal({ stateFolder = defaultFolder, replica: name }, task) {
      const replica = await findReplica(stateFolder, name);
      const rehearsal = await endKeptRehearsal(replica, task);
      return { replica: replica.id, vm: replica.state.vm, rehearsal };
    },
  };
}
