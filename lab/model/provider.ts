/** The model as the wire sees it: instances of classes, and methods. */
import {
  LabConnectionDrop,
  LabWmiError,
  type LabCaller,
  type LabCimProvider,
  type LabInstance,
  type LabMethodResult,
  type LabPath,
  type LabValue,
} from '../cim.ts';
import { LAB_CLASSES, NAMESPACE, classesUnder } from '../classes/index.ts';
import { createWindowsProvider } from '../windows/index.ts';
import type { HostCore } from './core.ts';
import { LabFailure } from './failure.ts';
import { imageMethods } from './image-methods.ts';
import { answer, notFound, type Method } from './method-call.ts';
import { ofKind, type Misbehaviour } from './rehearsal.ts';
import { WBEM, returnCodeOf } from './return-codes.ts';
import { rowsOf } from './rows.ts';
import { referencePointMethods, snapshotMethods } from './snapshot-methods.ts';
import { computerSystemMethods, jobMethods, managementMethods, shutdownMethods } from './system-methods.ts';

const METHODS: Readonly<Record<string, Readonly<Record<string, Method>>>> = {
  Msvm_VirtualSystemSnapshotService: snapshotMethods,
  Msvm_VirtualSystemReferencePointService: referencePointMethods,
  Msvm_VirtualSystemManagementService: managementMethods,
  Msvm_ImageManagementService: imageMethods,
  Msvm_ComputerSystem: computerSystemMethods,
  Msvm_ShutdownComponent: shutdownMethods,
  Msvm_ConcreteJob: jobMethods,
};

export class LabProvider implements LabCimProvider {
  readonly namespace = NAMESPACE;
  readonly classes = LAB_CLASSES;
  readonly others: readonly LabCimProvider[];
  readonly #core: HostCore;

  constructor(core: HostCore) {
    this.#core = core;
    this.others = [
      createWindowsProvider({
        hostName: () => core.state.hostName,
        facts: () => core.options.windows,
        volumesFolder: core.volumes.folder,
      }),
    ];
  }

  get hostName(): string {
    return this.#core.state.hostName;
  }

  async instances(className: string, caller: LabCaller): Promise<LabInstance[]> {
    const misbehaviours = this.#core.rehearsal.take(`Enumerate ${className}`, caller.user);
    await this.#before(misbehaviours);
    const rows = classesUnder(className).flatMap((cls) => rowsOf(this.#core, cls.name));
    dropAfter(misbehaviours);
    return rows;
  }

  async invoke(
    target: LabPath,
    method: string,
    parameters: Readonly<Record<string, LabValue>>,
    caller: LabCaller,
  ): Promise<LabMethodResult> {
    const run = METHODS[target.className]?.[method];
    if (!run) throw new LabWmiError(WBEM.invalidMethod, `${target.className} has no method ${method}`);
    this.#mustExist(target);
    const misbehaviours = this.#core.rehearsal.take(method, caller.user);
    await this.#before(misbehaviours);
    const refusal = ofKind(misbehaviours, 'return');
    if (refusal) return answer(refusal.code);
    const call = { core: this.#core, target, parameters, owner: caller.user, misbehaviours };
    const refused = (code: number): number =>
      returnCodeOf(code, target.className, this.#core.options.returnCodes);
    const result = await answered(() => run(call), refused);
    dropAfter(misbehaviours);
    return result;
  }

  /** The keys given must name an instance; not all keys need to be given. */
  #mustExist(target: LabPath): void {
    const rows = rowsOf(this.#core, target.className);
    const exists = rows.some((row) =>
      Object.entries(target.keys).every(([name, value]) => {
        const own = row.properties[name];
        return typeof own === 'string' && own.toLowerCase() === value.toLowerCase();
      }),
    );
    if (!exists) throw notFound(target);
  }

  async #before(misbehaviours: readonly Misbehaviour[]): Promise<void> {
    await this.#core.clock.sleep(ofKind(misbehaviours, 'delay')?.milliseconds ?? 0);
    if (ofKind(misbehaviours, 'drop')?.when === 'before') throw new LabConnectionDrop();
    const failure = ofKind(misbehaviours, 'wmi-error');
    if (failure) throw new LabWmiError(failure.status, 'rehearsed');
  }
}

/** A refusal is a number, not a fault. */
async function answered(
  run: () => Promise<LabMethodResult> | LabMethodResult,
  refused: (code: number) => number,
): Promise<LabMethodResult> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof LabFailure) return answer(refused(error.code));
    throw error;
  }
}

function dropAfter(misbehaviours: readonly Misbehaviour[]): void {
  if (ofKind(misbehaviours, 'drop')?.when === 'after') throw new LabConnectionDrop();
}
