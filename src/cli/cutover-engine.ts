/** The part of the engine that moves a replicated VM to the other side. */
import {
  cutOver,
  findReplica,
  openOtherSide,
  planOfCutover,
  type CutoverChoices,
  type CutoverConnect,
} from '../flows/index.ts';
import { openTarget } from '../targets/index.ts';
import type { CutoverCall, CutoverEngine } from './cutover-port.ts';
import type { HostAccess, Task } from './engine.ts';
import { openHost } from './open-host.ts';

/** `defaultFolder`: where replicas have their state when the call names no other. */
export function createCutoverEngine(defaultFolder: string): CutoverEngine {
  return {
    async cutover(call, task, answers) {
      const { replica, commit, force, action } = call;
      const stateFolder = call.stateFolder ?? defaultFolder;
      const choices = await choicesOf(call, stateFolder);
      const connect = connecting(call.host, task);
      const common = { replica, stateFolder, ...(choices ? { choices } : {}), ...task };
      if (action === 'plan') {
        await answers.agree(await planOfCutover(connect, { ...common, choices: choices! }));
        return undefined;
      }
      return cutOver(connect, { ...common, ...answers, action, commit, force });
    },
  };
}

/** What a cutover writes is beside the state of its replica, unless it is told where. */
async function choicesOf(
  { wishes, replica }: CutoverCall,
  stateFolder: string,
): Promise<CutoverChoices | undefined> {
  if (!wishes) return undefined;
  return { folder: (await findReplica(stateFolder, replica)).folder, ...wishes };
}

function connecting(access: HostAccess, task: Task): CutoverConnect {
  return async (replica, choices) => {
    await using parts = new AsyncDisposableStack();
    const target = openTarget(replica.state.target);
    const otherSide = await openOtherSide(replica, target, choices);
    parts.defer(() => otherSide.hypervisor.close());
    const { hyperv, source } = parts.use(await openHost(access, task));
    const opened = parts.move();
    return {
      ...otherSide,
      source,
      target,
      host: hyperv.forVm(replica.state.vm.id),
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  };
}
