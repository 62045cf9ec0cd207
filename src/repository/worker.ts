/** The thread of a repository: see `jobs.ts`. */
import { workerData } from 'node:worker_threads';
import { serveJobs } from '../workers/index.ts';
import { repositoryHandlers } from './jobs.ts';
import type { ObjectKeys } from './keys.ts';

serveJobs(repositoryHandlers(workerData as ObjectKeys));
