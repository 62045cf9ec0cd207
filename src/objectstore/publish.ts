/**
 * Giving a finished file its name, once: the step that makes an object exist.
 *
 * A hard link is refused by the kernel when the name exists, which `rename` is not. Volumes without hard links (FAT, ReFS
 * of older Windows, some network mounts) get the same by a claim: a file only one writer can create.
 */
import { errorCode, storeFaults } from './faults.ts';
import { removeFile, type FileCalls } from './file-calls.ts';
import { processMark } from './process-mark.ts';

/** What `link` answers where there are no hard links; EISDIR is how Node words Windows' ERROR_INVALID_FUNCTION. */
const NO_HARD_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EISDIR', 'EINVAL', 'UNKNOWN'];

export interface Publication {
  readonly files: FileCalls;
  /** The file as written; gone afterwards when it got the name. */
  readonly part: string;
  readonly path: string;
  readonly claim: string;
  /** For messages. */
  readonly name: string;
  readonly location: string;
}

/** True when `path` now is the file that was `part`; false when the name exists already, `part` is then still there. */
export async function publish(publication: Publication): Promise<boolean> {
  try {
    await publication.files.link(publication.part, publication.path);
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (code === 'EEXIST') return false;
    if (code === 'ENOENT') throw await absence(publication, error);
    if (!NO_HARD_LINKS.includes(code)) throw error;
    return await publishByClaim(publication);
  }
  await publication.files.unlink(publication.part);
  return true;
}

/** What is not there: the part file, which something removed behind our back, or the volume? */
async function absence({ files, part, name, location }: Publication, cause: unknown): Promise<unknown> {
  const partLost = (await exists(files, location)) && !(await exists(files, part));
  return partLost ? storeFaults.partLost({ name, location }, { cause }) : cause;
}

/** As {@link publish}. `STORE_NAME_BUSY` while another writer holds the claim. */
export async function publishByClaim(publication: Publication): Promise<boolean> {
  const { files, part, path, claim } = publication;
  await takeClaim(publication);
  try {
    if (await exists(files, path)) return false;
    await files.rename(part, path);
    return true;
  } finally {
    await removeFile(files, claim);
  }
}

async function takeClaim({ files, claim, name, location }: Publication): Promise<void> {
  try {
    const mark = Buffer.from(processMark());
    await using handle = await files.open(claim, 'wx');
    await handle.write(mark, 0, mark.length, 0);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    throw storeFaults.nameBusy({ name, location, claim }, { cause: error });
  }
}

async function exists(files: FileCalls, path: string): Promise<boolean> {
  try {
    await files.lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
