/** The part of the engine that moves a replicated VM to the other side. */
import { join } from 'node:path';
import {
  cutOver,
  failBack,
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
      const choices = choicesOf(call, stateFolder);
      const connect = connecting(call.host, task);
      const common = { replica, stateFolder, ...(choices ? { choices } : {}), ...task };
      if (action === 'plan') {
        await answers.agree(await planOfCutover(connect, { ...common, choices: choices! }));
        return undefined;
      }
      return cutOver(connect, { ...common, ...answers, action, commit, force });
    },
    failBack: ({ replica, to, stateFolder = defaultFolder }, task) =>
      failBack(openOtherSide, { replica, to, stateFolder, ...task }),
  };
}

/** Never in the folder of the replica: what the VM writes there must outlive that. */
function choicesOf({ wishes }: CutoverCall, stateFolder: string): CutoverChoices | undefined {
  return wishes && { folder: join(stateFolder, 'cutovers'), ...wishes };
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
