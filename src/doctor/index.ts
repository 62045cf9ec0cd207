export { diagnose } from './diagnose.ts';
export { doctorFaults } from './faults.ts';
export type { Finding, FindingState, Fix } from './finding.ts';
export { diagnoseRepository, type RepositoryTarget } from './repository.ts';
export type { DoctorPort, DoctorTarget, NodeTarget } from './target.ts';
