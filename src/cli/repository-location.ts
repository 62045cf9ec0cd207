/**
 * Where a repository is, as the user writes it: a folder, or the address of a store on another machine.
 *
 *   /backup/repo                                             a folder
 *   s3://bucket/prefix?endpoint=https://s3.example.com       a bucket; without endpoint that of AWS
 *   sftp://user@host:port/backup/repo                        a folder of an SSH server
 */
import { cliFaults } from './faults.ts';

export type RepositoryLocation = FolderLocation | S3Location | SftpLocation;

export interface FolderLocation {
  readonly kind: 'folder';
  readonly path: string;
}

export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** Empty, or it ends with `/`. */
  readonly prefix: string;
  readonly endpoint?: string;
  readonly region?: string;
}

export interface SftpLocation {
  readonly kind: 'sftp';
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Absolute, as the server shows it. */
  readonly path: string;
}

/** Also of schemes nobody knows: `http://…` is no folder that happens to have this name. */
export function isAddress(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text);
}

/** Throws `CLI_LOCATION_INVALID`, which never quotes the address: it may hold a password. */
export function parseLocation(text: string): RepositoryLocation {
  if (!isAddress(text)) return { kind: 'folder', path: text };
  const problem = locationProblem(text);
  if (problem !== undefined) throw cliFaults.locationInvalid({ reason: problem });
  const url = new URL(text);
  return url.protocol === 's3:' ? s3Location(url) : sftpLocation(url);
}

const S3_OPTIONS = ['endpoint', 'region'];
const PREFIX = /^\/(?:[A-Za-z0-9!_.*'()-]+\/?)*$/;

export function locationProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.password !== '') return 'must not hold a password';
  if (url.hash !== '') return 'must not hold a #';
  if (url.hostname === '') return `must name a ${url.protocol === 's3:' ? 'bucket' : 'host'}`;
  if (url.protocol === 's3:') return s3Problem(url);
  return url.protocol === 'sftp:' ? sftpProblem(url) : 'must begin with s3:// or sftp://, or be a folder';
}

function s3Problem(url: URL): string | undefined {
  if (url.username !== '' || url.port !== '') {
    return 'must be s3://BUCKET/PREFIX: keys come from the environment or the configuration, the server is ?endpoint=URL';
  }
  if (url.pathname !== '' && !PREFIX.test(url.pathname))
    return 'has a prefix with other than plain characters';
  const unknown = [...url.searchParams.keys()].find((key) => !S3_OPTIONS.includes(key));
  if (unknown !== undefined) return `has the option "${unknown}"; known: ${S3_OPTIONS.join(', ')}`;
  const endpoint = url.searchParams.get('endpoint');
  if (endpoint === null) return undefined;
  const isWeb = URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol);
  return isWeb && new URL(endpoint).password === ''
    ? undefined
    : 'has an endpoint that does not begin with http:// or https://, or holds a password';
}

function sftpProblem(url: URL): string | undefined {
  if (url.username === '') return 'must name a user: sftp://USER@HOST/PATH';
  if (url.search !== '') return 'must end after the path';
  return url.pathname.length > 1 ? undefined : 'must name a folder of the server: sftp://USER@HOST/PATH';
}

function s3Location(url: URL): S3Location {
  const folders = url.pathname.split('/').filter(Boolean);
  const endpoint = url.searchParams.get('endpoint');
  const region = url.searchParams.get('region');
  return {
    kind: 's3',
    bucket: url.hostname,
    prefix: folders.map((folder) => `${folder}/`).join(''),
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
  };
}

function sftpLocation(url: URL): SftpLocation {
  return {
    kind: 'sftp',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 22 : Number(url.port),
    user: decodeURIComponent(url.username),
    path: decodeURIComponent(url.pathname).replace(/\/+$/, ''),
  };
}
