/**
 * What is done to the clone of a captured VM before it starts elsewhere.
 *
 *   none                nothing; its devices are virtio, for which the guest has drivers already
 *   compatible          nothing either; its devices are of a kind for which guests bring drivers: IDE, SATA, e1000
 *   virt-v2v-in-place   that program changes the guest, so that it starts from virtio; minutes, and the disks are no longer
 *                       what the VM held: always a clone, never a replica
 */
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { accelerator, libvirtDomain, type Machine } from '../machines/index.ts';
import { conversionFaults } from './conversion-faults.ts';
import { runProgram, type ProgramResult } from './program.ts';

export const CONVERSIONS = ['none', 'compatible', 'virt-v2v-in-place'] as const;
export type Conversion = (typeof CONVERSIONS)[number];

const PROGRAM = 'virt-v2v-in-place';
/** Before, it was an option of virt-v2v itself. */
const VERSION_MIN = [2, 0] as const;
const VERSION_MS = 30_000;
/** It boots an appliance, under emulation where there is no KVM, and may make a new initial file system for each kernel. */
const CONVERT_MS = 2 * 3600_000;
const OUTPUT_BYTES_MAX = MiB;

/** Of `describeMachine`. */
export function devicesOf(conversion: Conversion): 'compatible' | 'virtio' {
  return conversion === 'compatible' ? 'compatible' : 'virtio';
}

export interface ConversionRequest {
  readonly conversion: Conversion;
  /** A volume of the disks is of Windows. */
  readonly hasWindows: boolean;
}

/**
 * Whether the program is there, new enough, and has what it needs, before anything is cloned. Throws `CONVERSION_NO_PROGRAM`,
 * `CONVERSION_TOO_OLD`, `CONVERSION_NO_DRIVERS`.
 */
export async function checkConversion(
  { conversion, hasWindows }: ConversionRequest,
  options: CallOptions = {},
): Promise<void> {
  if (conversion !== 'virt-v2v-in-place') return;
  const { output, complaint } = await run(['--version'], VERSION_MS, options);
  const version = /(\d+)\.(\d+)(?:\.\d+)?/.exec(output + complaint);
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1]))
    throw conversionFaults.tooOld({ version: version?.[0] ?? 'unknown' });
  const drivers = process.env['VIRTIO_WIN'];
  if (!hasWindows) return;
  if (!drivers) throw conversionFaults.noDrivers({ reason: 'VIRTIO_WIN is not set' });
  await access(drivers).catch((error: Error) => {
    throw conversionFaults.noDrivers({ reason: error.message }, { cause: error });
  });
}

/**
 * Changes the disks of `machine`, which are those of a clone. What fails leaves them in no known state: they are to be thrown
 * away. Throws `CONVERSION_FAILED` and what {@link checkConversion} throws.
 */
export async function convertClone(
  machine: Machine,
  request: ConversionRequest,
  options: CallOptions = {},
): Promise<void> {
  await checkConversion(request, options);
  if (request.conversion !== 'virt-v2v-in-place') return;
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-convert-'));
  try {
    const path = join(folder, 'domain.xml');
    await writeFile(path, libvirtDomain(machine, { accelerator: await accelerator() }));
    const { code, complaint, output, timedOut } = await run(['-i', 'libvirtxml', path], CONVERT_MS, options);
    if (code === 0) return;
    const said = (complaint || output.trim()).split('\n').slice(-5).join('; ');
    const reason = timedOut
      ? `it was not done after ${CONVERT_MS / 3600_000} hours`
      : said || 'it said nothing';
    throw conversionFaults.failed({ reason });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(
  args: readonly string[],
  timeoutMs: number,
  { signal }: CallOptions,
): Promise<ProgramResult> {
  try {
    return await runProgram(PROGRAM, args, { timeoutMs, signal, outputBytesMax: OUTPUT_BYTES_MAX });
  } catch (error) {
    signal?.throwIfAborted();
    throw conversionFaults.noProgram({ reason: (error as Error).message }, { cause: error });
  }
}
