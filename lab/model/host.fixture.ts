/** A host in a temporary folder, and the calls a client would make, without the wire. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { LabInstance, LabMethodResult, LabPath, LabValue } from '../cim.ts';
import { LabHost, type LabHostOptions } from './host.ts';
import { keyText, systemPath } from './object-paths.ts';
import { INSTANT, type LabSettings } from './options.ts';
import { scratch, type Scratch } from './scratch.fixture.ts';

export const CALLER = { user: 'HV01\\tester' };

export interface TestHost {
  host: LabHost;
  readonly folder: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function testHost(
  settings: LabSettings = {},
  options: Omit<LabHostOptions, 'settings'> = {},
): Promise<TestHost> {
  const temporary: Scratch = await scratch();
  const folder = join(temporary.folder, 'host');
  const host = await LabHost.open(folder, { ...options, settings: { ...INSTANT, ...settings } });
  const test: TestHost = {
    host,
    folder,
    async [Symbol.asyncDispose]() {
      await test.host.close();
      await temporary[Symbol.asyncDispose]();
    },
  };
  return test;
}

const SERVICES: Readonly<Record<string, string>> = {
  CreateSnapshot: 'Msvm_VirtualSystemSnapshotService',
  ApplySnapshot: 'Msvm_VirtualSystemSnapshotService',
  DestroySnapshot: 'Msvm_VirtualSystemSnapshotService',
  DestroySnapshotTree: 'Msvm_VirtualSystemSnapshotService',
  ConvertToReferencePoint: 'Msvm_VirtualSystemSnapshotService',
  DestroyReferencePoint: 'Msvm_VirtualSystemReferencePointService',
  ModifySystemSettings: 'Msvm_VirtualSystemManagementService',
  GetSummaryInformation: 'Msvm_VirtualSystemManagementService',
  GetVirtualHardDiskSettingData: 'Msvm_ImageManagementService',
  GetVirtualHardDiskState: 'Msvm_ImageManagementService',
  GetVirtualDiskChanges: 'Msvm_ImageManagementService',
};

/** Calls a method of a service, by the least selectors that suffice on a real host. */
export function call(
  host: LabHost,
  method: string,
  parameters: Readonly<Record<string, LabValue>> = {},
): Promise<LabMethodResult> {
  const className = SERVICES[method]!;
  const target: LabPath = { className, keys: { CreationClassName: className } };
  return host.provider.invoke(target, method, parameters, CALLER);
}

/** The job of an answer, as its instance is now. */
export async function jobOf(host: LabHost, result: LabMethodResult): Promise<LabInstance | undefined> {
  const { InstanceID: id } = (result.out['Job'] as LabPath).keys;
  const jobs = await host.provider.instances('Msvm_ConcreteJob', CALLER);
  return jobs.find((job) => job.properties['InstanceID'] === id);
}

/** Calls a method, waits for its job, and returns what the job created. */
export async function created(
  host: LabHost,
  method: string,
  parameters: Readonly<Record<string, LabValue>>,
): Promise<LabPath | undefined> {
  const result = await call(host, method, parameters);
  assert.equal(result.returnValue, 4096, method);
  await host.settle();
  const job = await jobOf(host, result);
  assert.equal(job?.properties['JobState'], 7, `${method}: ${keyText(job?.properties['ErrorDescription'])}`);
  const rows = await host.provider.instances('Msvm_AffectedJobElement', CALLER);
  const row = rows.find(
    ({ properties }) =>
      (properties['AffectingElement'] as LabPath).keys['InstanceID'] === job?.properties['InstanceID'] &&
      (properties['ElementEffects'] as number[])[0] === 5,
  );
  return row?.properties['AffectedElement'] as LabPath | undefined;
}

/** A recovery checkpoint, crash-consistent unless told otherwise. */
export async function recoveryCheckpoint(
  host: LabHost,
  vmId: string,
  consistency: 1 | 2 = 2,
): Promise<LabPath> {
  const checkpoint = await created(host, 'CreateSnapshot', {
    AffectedSystem: systemPath(vmId),
    SnapshotSettings: {
      className: 'Msvm_VirtualSystemSnapshotSettingData',
      properties: { ConsistencyLevel: consistency },
    },
    SnapshotType: 32768,
  });
  assert.ok(checkpoint);
  return checkpoint;
}

/** GUID of a checkpoint or reference point, which for a checkpoint is the id of its seal. */
export function idOf(path: LabPath): string {
  return path.keys['InstanceID']!.slice('Microsoft:'.length);
}

export async function rows(host: LabHost, className: string): Promise<LabInstance['properties'][]> {
  return (await host.provider.instances(className, CALLER)).map(({ properties }) => properties);
}
