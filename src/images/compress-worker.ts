/** The thread that compresses: see `compress-job.ts`. */
import { serveJobs } from '../workers/index.ts';
import { compressHandlers } from './compress-job.ts';

serveJobs(compressHandlers());
