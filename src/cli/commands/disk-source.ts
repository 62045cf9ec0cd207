/** The disk files that the commands of `hvlift disk` are given. */
import { Option } from '@commander-js/extra-typings';
import { absolutePath } from '../config-path.ts';
import type { DiskFileRequest } from '../engine.ts';
import { collect } from '../options.ts';
import type { Session } from '../session.ts';

export const parentsOption = new Option(
  '--parents <folder>',
  'look for the parents of a differencing disk here first, by their file names; may be repeated',
).argParser(collect);

export function diskFile(
  session: Session,
  file: string,
  options: { readonly parents?: readonly string[] },
): DiskFileRequest {
  return {
    path: absoluteFile(session, file),
    parentFolders: (options.parents ?? []).map((folder) => absoluteFile(session, folder)),
  };
}

export function absoluteFile({ io }: Session, path: string): string {
  return absolutePath(path, io.workingFolder, io.homeFolder);
}
