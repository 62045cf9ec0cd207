export { createSftpClient, SftpClient, type SftpOptions } from './client.ts';
export { sftpFaults } from './faults.ts';
