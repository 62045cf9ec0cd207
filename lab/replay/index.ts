export { startReplay, type Replay } from './start-replay.ts';
