/**
 * The owner mark: every checkpoint of ours is named `hvlift <owner>[.<consumer>] <run id>`, so that it is found again after
 * any crash and never confused with another tool's or another owner's. The owner is what holds the lock of the VM while a
 * run lives (a repository), so whoever has that lock knows that no run of any of the owner's consumers lives.
 */
const PREFIX = 'hvlift';

export function checkpointName(consumer: string, runId: string): string {
  return `${PREFIX} ${consumer} ${runId}`;
}

/** Made by hvlift, whichever consumer it was. */
export function isNamedByUs({ name }: { readonly name: string }): boolean {
  return name.startsWith(`${PREFIX} `);
}

/** The run that made the checkpoint, when a consumer of the same owner did; undefined for everything else. */
export function runOf(name: string, consumer: string): string | undefined {
  const [prefix, mark, run, ...rest] = name.split(' ');
  return prefix === PREFIX && ownerOfMark(mark) === ownerOfMark(consumer) && rest.length === 0
    ? run
    : undefined;
}

/** The owner in the name of a checkpoint of ours. */
export function ownerOf(name: string): string | undefined {
  return ownerOfMark(name.split(' ')[1]);
}

function ownerOfMark(mark: string | undefined): string | undefined {
  return mark?.split('.', 1)[0];
}
