/** `hvlift lab fault` and `hvlift lab call`: misbehaviour on demand, and everything without a command of its own. */
import type { Command } from '@commander-js/extra-typings';
import { fromJson } from '../control/json.ts';
import type { LabClient } from '../control/index.ts';
import { LabFailure, RETURN, type Misbehaviour } from '../model/index.ts';
import { connected, folderOption, print, wholeNumber } from './session.ts';

/** Short forms of what a method may suffer. */
const MISBEHAVIOURS: Readonly<Record<string, Misbehaviour>> = {
  'drop-before': { kind: 'drop', when: 'before' },
  'drop-after': { kind: 'drop', when: 'after' },
  'fail-job': { kind: 'fail-job', code: RETURN.failed },
  'fail-job-after-effect': { kind: 'fail-job', code: RETURN.failed, afterEffect: true },
  'warn-job': { kind: 'warn-job' },
  'vanish-job': { kind: 'vanish-job' },
  'stick-job': { kind: 'stick-job' },
  'no-progress': { kind: 'no-progress' },
  'answer-by-job': { kind: 'answer-by-job' },
};

export function registerTrouble(program: Command): void {
  const fault = program.command('fault').summary('let the next calls of a method go wrong');
  fault
    .command('add')
    .argument('<method>', 'as CreateSnapshot, or "Enumerate Msvm_ComputerSystem"')
    .argument('<kind>', `${Object.keys(MISBEHAVIOURS).join(', ')}, or the number to return`)
    .option('--times <number>', 'how many calls', wholeNumber, 1)
    .option('--after <number>', 'how many calls go well first', wholeNumber, 0)
    .addOption(folderOption)
    .action(async (method, kind, options) => {
      const { times, after } = options;
      await (await connected(options)).addFault({ method, misbehaviour: misbehaviour(kind), times, after });
    });
  fault
    .command('clear')
    .addOption(folderOption)
    .action(async (options) => (await connected(options)).clearFaults());
  program
    .command('call')
    .summary('call a method of the control API')
    .description(
      'Calls a method of the control API with arguments in JSON, as: call configure \'{"mergeDelayMs":60000}\'',
    )
    .argument('<method>')
    .argument('[json...]')
    .addOption(folderOption)
    .action(async (method, json, options) => {
      const client: Partial<Record<string, unknown>> = { ...(await connected(options)) } satisfies LabClient;
      const call = client[method];
      if (typeof call !== 'function')
        throw new LabFailure(RETURN.notSupported, `there is no method ${method}`);
      print((await (call as (...args: unknown[]) => Promise<unknown>)(...json.map(fromJson))) ?? null);
    });
}

function misbehaviour(text: string): Misbehaviour {
  return MISBEHAVIOURS[text] ?? { kind: 'return', code: wholeNumber(text) };
}
