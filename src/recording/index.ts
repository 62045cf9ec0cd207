export { recordingFaults } from './faults.ts';
export { record, type Recording, type RecordOptions } from './record.ts';
