/**
 * The owner mark: every checkpoint of ours is named `hvlift <consumer> <run id>`, so that it is found again after any
 * crash and never confused with another tool's or another consumer's.
 */
const PREFIX = 'hvlift';

export function checkpointName(consumer: string, runId: string): string {
  return `${PREFIX} ${consumer} ${runId}`;
}

/** Made by hvlift, whichever consumer it was. */
export function isNamedByUs({ name }: { readonly name: string }): boolean {
  return name.startsWith(`${PREFIX} `);
}

/** The run that made the checkpoint, when this consumer did; undefined for everything else. */
export function runOf(name: string, consumer: string): string | undefined {
  const [prefix, owner, run, ...rest] = name.split(' ');
  return prefix === PREFIX && owner === consumer && rest.length === 0 ? run : undefined;
}
