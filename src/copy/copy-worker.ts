/** The thread of a copy: see `copy-jobs.ts`. */
import { serveJobs } from '../workers/index.ts';
import { copyHandlers } from './copy-jobs.ts';

serveJobs(copyHandlers());
