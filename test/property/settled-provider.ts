/**
 * A host that answers only once what it began has ended: jobs and merges take no time then, and the same run always makes
 * the same calls, none of them one poll more or less.
 */
import type { LabCimProvider } from '../../lab/cim.ts';

export function settledProvider(provider: LabCimProvider, settle: () => Promise<void>): LabCimProvider {
  return {
    namespace: provider.namespace,
    hostName: provider.hostName,
    classes: provider.classes,
    ...(provider.others ? { others: provider.others } : {}),
    async instances(...call) {
      await settle();
      return provider.instances(...call);
    },
    async invoke(...call) {
      await settle();
      return provider.invoke(...call);
    },
  };
}
