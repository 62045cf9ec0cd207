/** What every command of `hvlift lab` shares: the folder, the connection to the running lab, and output. */
import { resolve } from 'node:path';
import { Option } from '@commander-js/extra-typings';
import { parseBytes } from '../../src/base/index.ts';
import { connectFolder, type LabClient } from '../control/index.ts';
import { LabFailure, RETURN } from '../model/index.ts';

export const folderOption = new Option('--folder <path>', 'the folder that holds the lab')
  .env('HVLIFT_LAB')
  .default('hvlift-lab');

export function connected(options: { folder: string }): Promise<LabClient> {
  return connectFolder(resolve(options.folder));
}

export function print(value: unknown): void {
  process.stdout.write(`${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}\n`);
}

/** `64MiB` → bytes. */
export function bytes(text: string): number {
  const value = parseBytes(text);
  if (value === undefined)
    throw new LabFailure(RETURN.invalidParameter, `not a size: ${text}; write 64MiB or 1048576`);
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new LabFailure(RETURN.invalidParameter, `not a whole number: ${text}`);
  }
  return value;
}
