/** A thread that makes trials. Not in the test's own thread: the hooks of a test runner cost a fifth of the time. */
import { parentPort, workerData } from 'node:worker_threads';
import { mutate, type Trials } from './mutations.ts';
import { allSubjects } from './subjects.ts';

parentPort!.postMessage(await mutate(await allSubjects(), workerData as Trials), []);
