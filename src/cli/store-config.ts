/** The part of the configuration of a repository that is about a store on another machine. */
import { z } from 'zod';
import { parseBytes } from '../base/index.ts';
import { locationProblem, isAddress } from './repository-location.ts';

const text = z.string().min(1, 'must not be empty');
const variableName = text.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');

export const s3Schema = z.strictObject({
  accessKeyId: text.optional(),
  secretKeyFile: text.optional(),
  secretKeyEnv: variableName.optional(),
  region: text.optional(),
  pathStyle: z.boolean().optional(),
  caFile: text.optional(),
  objectLock: z
    .strictObject({
      mode: z.enum(['governance', 'compliance']),
      days: z.int().min(1, 'must be a number of days').max(36_500, 'must be less than a hundred years'),
    })
    .optional(),
});

export const cacheSchema = z.strictObject({
  folder: text,
  size: text.refine((size) => (parseBytes(size) ?? 0) > 0, 'must be a size, such as 1GiB'),
});

export type S3Config = z.infer<typeof s3Schema>;

interface Problem {
  readonly path: string[];
  readonly message: string;
}

/** What fits the kind of place, and what it needs. */
export function storeProblems(repository: {
  readonly path: string;
  readonly s3?: S3Config | undefined;
  readonly ssh?: object | undefined;
  readonly rate?: string | undefined;
  readonly cache?: object | undefined;
}): Problem[] {
  const { path, s3, ssh, rate, cache } = repository;
  const problem = isAddress(path) ? locationProblem(path) : undefined;
  if (problem !== undefined) return [{ path: ['path'], message: problem }];
  const at = (key: string, message: string): Problem => ({ path: [key], message });
  return [
    ...(s3 && !/^s3:/i.test(path) ? [at('s3', 'belongs to a path that begins with s3://')] : []),
    ...(ssh && !/^sftp:/i.test(path) ? [at('ssh', 'belongs to a path that begins with sftp://')] : []),
    ...(s3 ? keyProblems(s3) : []),
    ...(rate !== undefined && !isAddress(path) ? [at('rate', ELSEWHERE)] : []),
    ...(cache && !isAddress(path) ? [at('cache', ELSEWHERE)] : []),
  ];
}

const ELSEWHERE = 'belongs to a path that begins with s3:// or sftp://';

function keyProblems({ accessKeyId, secretKeyFile, secretKeyEnv }: S3Config): Problem[] {
  const sources = [secretKeyFile, secretKeyEnv].filter((source) => source !== undefined).length;
  if (sources === (accessKeyId === undefined ? 0 : 1)) return [];
  return [
    {
      path: ['s3'],
      message: 'needs accessKeyId together with secretKeyFile or secretKeyEnv, or none of the three',
    },
  ];
}
