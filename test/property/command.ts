/** A command of a sequence: what one of the parties does next. One that is not possible now does nothing. */
import fc from 'fast-check';
import { LabFailure } from '../../lab/model/index.ts';
import type { World } from './world.ts';

export interface Command {
  readonly name: string;
  run(world: World): Promise<void>;
}

/** Commands of one kind: fast-check draws and shrinks `spec`, and a failure shows it. */
export function commands<S extends object>(
  name: string,
  spec: fc.Arbitrary<S>,
  run: (world: World, spec: S) => Promise<void>,
): fc.Arbitrary<Command> {
  return spec.map((drawn) => ({
    name,
    run: (world: World) => run(world, drawn),
    [fc.toStringMethod]: () => `${name} ${JSON.stringify(drawn, shown)}`,
  }));
}

function shown(_key: string, value: unknown): unknown {
  return value instanceof Object && fc.toStringMethod in value ? fc.stringify(value) : value;
}

/** What the host refuses in its present state did not happen. True when it did. */
export async function ifPossible(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (error instanceof LabFailure) return false;
    throw error;
  }
}

/** One of several, by a number drawn before anyone knew how many there would be. */
export function pick<T>(items: readonly T[], choice: number): T | undefined {
  return items[choice % items.length];
}
