/** Msvm_VirtualSystemSnapshotService and Msvm_VirtualSystemReferencePointService. */
import type { LabMethodResult } from '../cim.ts';
import { applyCheckpoint } from './apply-checkpoint.ts';
import {
  convertToReferencePoint,
  createCheckpoint,
  destroyCheckpoint,
  destroyReferencePoint,
  type CheckpointRequest,
} from './checkpoints.ts';
import { LabFailure } from './failure.ts';
import { JOB_TYPE } from './jobs.ts';
import {
  checkpointByPath,
  instanceParameter,
  machineByPath,
  numberParameter,
  pathParameter,
  referencePointByPath,
  startJob,
  type Method,
  type MethodCall,
} from './method-call.ts';
import { referencePointPath, settingsPath } from './object-paths.ts';
import { RETURN } from './return-codes.ts';

const SNAPSHOT_KINDS: Readonly<Record<number, CheckpointRequest['kind']>> = { 2: 'user', 32768: 'recovery' };
const CREATING = 32768;
const DELETING = 32770;
const APPLYING = 32769;

export const snapshotMethods: Readonly<Record<string, Method>> = {
  CreateSnapshot(call) {
    const machine = machineByPath(call.core, pathParameter(call, 'AffectedSystem'));
    const request = checkpointRequest(call);
    return startJob(call, {
      type: JOB_TYPE.snapshot,
      machine,
      busy: CREATING,
      work: async () => settingsPath((await createCheckpoint(call.core, machine, request)).id),
    });
  },
  ApplySnapshot(call) {
    const { machine, checkpoint } = checkpointByPath(call.core, pathParameter(call, 'Snapshot'));
    if (!['off', 'saved'].includes(machine.state.power)) {
      throw new LabFailure(RETURN.invalidState, machine.state.power);
    }
    return startJob(call, {
      type: JOB_TYPE.applySnapshot,
      machine,
      busy: APPLYING,
      work: async () => {
        await applyCheckpoint(call.core, machine, checkpoint.id);
        return undefined;
      },
    });
  },
  DestroySnapshot: (call) => destroy(call, 'AffectedSnapshot', { tree: false }),
  DestroySnapshotTree: (call) => destroy(call, 'SnapshotSettingData', { tree: true }),
  ConvertToReferencePoint(call) {
    const { machine, checkpoint } = checkpointByPath(call.core, pathParameter(call, 'AffectedSnapshot'));
    instanceParameter(call, 'ReferencePointSettings');
    return startJob(call, {
      type: JOB_TYPE.convert,
      machine,
      busy: DELETING,
      work: async () => {
        const point = await convertToReferencePoint(call.core, machine, checkpoint.id);
        return referencePointPath(machine.state.id, point.id);
      },
    });
  },
};

export const referencePointMethods: Readonly<Record<string, Method>> = {
  DestroyReferencePoint(call) {
    const { machine, point } = referencePointByPath(call.core, pathParameter(call, 'AffectedReferencePoint'));
    return startJob(call, {
      type: JOB_TYPE.deleteReferencePoint,
      machine,
      work: async () => {
        await destroyReferencePoint(call.core, machine, point.id);
        return undefined;
      },
    });
  },
};

/** The settings may be left out: then the checkpoint is what a user makes, crash-consistent. */
function checkpointRequest(call: MethodCall): CheckpointRequest {
  const kind = SNAPSHOT_KINDS[numberParameter(call, 'SnapshotType')];
  if (!kind) throw new LabFailure(RETURN.invalidParameter, 'SnapshotType');
  const settings = instanceParameter(call, 'SnapshotSettings');
  if (settings && settings.className !== 'Msvm_VirtualSystemSnapshotSettingData') {
    throw new LabFailure(RETURN.invalidParameter, `SnapshotSettings is a ${settings.className}`);
  }
  const level = settings?.properties['ConsistencyLevel'] ?? 2;
  if (level !== 1 && level !== 2) throw new LabFailure(RETURN.invalidParameter, 'ConsistencyLevel');
  const skipPhysicalDisks = settings?.properties['IgnoreNonSnapshottableDisks'] === true;
  return { kind, consistency: level, skipPhysicalDisks };
}

function destroy(call: MethodCall, parameter: string, options: { tree: boolean }): LabMethodResult {
  const { machine, checkpoint } = checkpointByPath(call.core, pathParameter(call, parameter));
  return startJob(call, {
    type: JOB_TYPE.deleteSnapshot,
    machine,
    busy: DELETING,
    work: async () => {
      await destroyCheckpoint(call.core, machine, checkpoint.id, options);
      return undefined;
    },
  });
}
