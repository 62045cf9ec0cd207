/** The owner mark: the name that tells a checkpoint of ours from any other, after any crash. */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { embedded } from '../winrm/index.ts';
import { changeHost, refusalFault } from './changes-on-host.ts';
import { readCheckpoint, type Checkpoint } from './checkpoints.ts';
import { Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import { Msvm_VirtualSystemManagementService } from './classes/snapshot-service.ts';
import { hypervFaults } from './faults.ts';
import { growingPauses, serviceKeys, type Host } from './host.ts';

export interface OwnerMarkOptions extends CallOptions {
  /** Plain characters: `&` and `<` in it are refused by hosts. */
  readonly name: string;
}

const ATTEMPTS = 4;

/**
 * Gives the checkpoint its owner mark and reads it back: hosts were seen to report success and change nothing, and to
 * refuse while the creation still settles.
 */
export async function giveOwnerMark(host: Host, made: Checkpoint, options: OwnerMarkOptions): Promise<void> {
  const pauses = growingPauses(host.pollMs * 5);
  for (let attempts = 1; ; attempts += 1) {
    const cause = await tryToMark(host, made, options);
    if (cause === 'marked') return;
    if (attempts === ATTEMPTS) {
      throw hypervFaults.markRefused({ vm: made.vmId, name: options.name }, { cause });
    }
    await host.clock.sleep(pauses.next().value, options.signal);
  }
}

async function tryToMark(host: Host, made: Checkpoint, options: OwnerMarkOptions): Promise<'marked' | Error> {
  const service = Msvm_VirtualSystemManagementService;
  const SystemSettings = embedded(Msvm_VirtualSystemSettingData, {
    InstanceID: made.instanceId,
    ElementName: options.name,
  });
  const what = 'name a recovery checkpoint';
  try {
    const outcome = await changeHost<true>(
      host,
      {
        what,
        call: (call) =>
          host.session.invoke(
            service,
            serviceKeys(service),
            'ModifySystemSettings',
            { SystemSettings },
            call,
          ),
        look: async (_job, call) =>
          (await readCheckpoint(host, made.vmId, made.instanceId, call))?.name === options.name || undefined,
        isBusy: async () => false,
      },
      { signal: options.signal },
    );
    return outcome.kind === 'done' ? 'marked' : refusalFault(what, outcome.refusal);
  } catch (error) {
    if (hasCode(error, 'HYPERV_EFFECT_MISSING')) return error;
    throw error;
  }
}
