export { createSftpClient, SftpClient, type SftpOptions } from './client.ts';
export { sftpFaults } from './faults.ts';
export type { Attributes, Entry } from './message.ts';
export { SftpTree } from './tree.ts';
