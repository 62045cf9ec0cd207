/** The engine of the real program. */
import { faults } from '../base/index.ts';
import type { Engine } from './engine.ts';

const engineFaults = faults('CLI_ENGINE', {
  missing: {
    kind: 'bug',
    text: 'this version of hvlift cannot do {call} yet',
    remedy: 'use a released version',
  },
});

/** Every call is refused: the flows are not part of this version. */
export function openEngine(): Engine {
  return new Proxy({} as Engine, {
    get: (_, call) => () => {
      throw engineFaults.missing({ call: String(call) });
    },
  });
}
