/** A {@link LabClient} over the control API. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../../src/base/index.ts';
import { checkRange, type RangeReader } from '../../src/disk/index.ts';
import { LabFailure } from '../model/index.ts';
import { fromJson, toJson } from './json.ts';
import { HOST_METHODS, PROCESS_METHODS, type LabAddress, type LabClient } from './methods.ts';

/** One answer of the control API when reading truth. */
const READ_SIZE = 4 * MiB;

/** The lab whose folder this is. Fails when none runs there. */
export async function connectFolder(folder: string): Promise<LabClient> {
  const text = await readFile(join(folder, 'lab.json'), 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new Error(`no lab runs in ${folder}; start one with: hvlift lab start --folder ${folder}`);
  return connectLab(JSON.parse(text) as LabAddress);
}

export async function connectLab(
  address: Pick<LabAddress, 'controlUrl' | 'controlTokenFile'>,
): Promise<LabClient> {
  const token = (await readFile(address.controlTokenFile, 'utf8')).trim();
  const call = caller(address.controlUrl, token);
  const methods = [...HOST_METHODS, ...PROCESS_METHODS].map((name) => [
    name,
    (...args: unknown[]) => call(name, args),
  ]);
  const client = Object.fromEntries(methods) as Omit<LabClient, 'truthReader'>;
  return { ...client, truthReader: (sealId, diskId) => truthReader(client, sealId, diskId) };
}

function caller(controlUrl: string, token: string): (name: string, args: unknown[]) => Promise<unknown> {
  return async (name, args) => {
    const response = await fetch(`${controlUrl}/${name}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: toJson(args),
    }).catch((error: unknown) => {
      throw new Error(`the lab at ${controlUrl} does not answer`, { cause: error });
    });
    const body = fromJson(await response.text()) as {
      result?: unknown;
      error?: { message: string; code?: number };
    };
    if (!body.error) return body.result;
    const { message, code } = body.error;
    throw code === undefined ? new Error(message) : new LabFailure(code, message);
  };
}

async function truthReader(
  client: Pick<LabClient, 'truthRead' | 'truthSize'>,
  sealId: string,
  diskId: string,
): Promise<RangeReader> {
  const size = await client.truthSize(sealId, diskId);
  return {
    size,
    async read(offset, into) {
      checkRange(offset, into.length, size);
      for (let done = 0; done < into.length; done += READ_SIZE) {
        const length = Math.min(READ_SIZE, into.length - done);
        into.set(await client.truthRead(sealId, { diskId, offset: offset + done, length }), done);
      }
    },
    close: () => Promise.resolve(),
  };
}
