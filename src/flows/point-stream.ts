/** A disk of a restore point, or the whole VM as a package, as a stream of bytes: `hvlift restore --to -`. */
import { silentProgress, type Progress, type Warning } from '../base/index.ts';
import { imageStream, ovaStream } from '../images/index.ts';
import {
  warningsOfReading,
  type PointDisk,
  type Repository,
  type RestorePoint,
} from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { closeAll, ovaContents, sizeOf } from './ova-contents.ts';
import { chosenDisks } from './point-disks.ts';
import type { PipeFormat } from './restore-formats.ts';
import { readSettings } from './vm-settings.ts';

export interface StreamRequest {
  readonly point: RestorePoint;
  readonly format: PipeFormat;
  /** Numbers (from 1), VirtualDiskIds or file names of disks; all when left out. Exactly one unless the format is `ova`. */
  readonly disks?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
  /** What is to be known though the stream goes on. */
  readonly warn?: (warning: Warning) => void;
}

/** Throws `FLOW_NO_SUCH_DISK`, `FLOW_ONE_DISK_ONLY` before the first byte; what throws later leaves a stream that is cut off. */
export async function* streamPoint(
  repository: Repository,
  request: StreamRequest,
): AsyncGenerator<Uint8Array> {
  const disks = chosenDisks(request.point, request.disks).map(({ disk }) => disk);
  const { format, point, warn } = request;
  const bytes =
    format === 'ova'
      ? packageBytes(repository, request, disks)
      : diskBytes(repository, { ...request, format }, onlyOne(disks, format));
  await using reading = await repository.startReading(point, request);
  for (const warning of warningsOfReading(reading)) warn?.(warning);
  try {
    yield* bytes;
  } catch (error) {
    throw await reading.explain(error);
  }
}

function onlyOne(disks: readonly PointDisk[], format: PipeFormat): PointDisk {
  const [disk, ...others] = disks;
  if (!disk || others.length > 0) throw flowFaults.oneDiskOnly({ format, disks: disks.length });
  return disk;
}

async function* diskBytes(
  repository: Repository,
  { format, signal, progress = silentProgress }: StreamRequest & { format: Exclude<PipeFormat, 'ova'> },
  disk: PointDisk,
): AsyncGenerator<Uint8Array> {
  progress.phase(`send ${disk.diskId} as ${format}`, disk.size);
  const reader = repository.openDisk(disk.root, disk.size, { ...disk, order: 'ascending' });
  try {
    yield* imageStream(format, reader, { signal, progress });
  } finally {
    await reader.close();
  }
}

async function* packageBytes(
  repository: Repository,
  { point, signal, progress = silentProgress }: StreamRequest,
  disks: readonly PointDisk[],
): AsyncGenerator<Uint8Array> {
  const bytes = await readSettings(repository, point, { signal });
  const lost = !(bytes instanceof Uint8Array);
  if (lost) progress.note(bytes.message);
  const configuration = lost ? {} : (JSON.parse(Buffer.from(bytes).toString()) as object);
  const { contents } = ovaContents(repository, point, { configuration, disks });
  // Twice: a pipe cannot be gone back in, and sizes stand before what they are the sizes of.
  progress.phase(`send ${point.vm.name} as ova`, 2 * sizeOf(disks));
  try {
    yield* ovaStream(contents, { signal, progress });
  } finally {
    await closeAll(contents);
  }
}
