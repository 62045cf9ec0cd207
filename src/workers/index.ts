export { workerFaults } from './faults.ts';
export type { JobHandlers, JobTypes } from './job.ts';
export { serveJobs } from './serve-jobs.ts';
export { writingThreads } from './thread-counts.ts';
export { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';
