/** Volumes of the Windows below Hyper-V, in `root/cimv2`: an account without rights there is told nothing. */
import { cimClass } from '../../winrm/index.ts';

export const Win32_Volume = cimClass('Win32_Volume', {
  namespace: 'root/cimv2',
  properties: { Name: 'string', Capacity: 'uint64', FreeSpace: 'uint64' },
});
