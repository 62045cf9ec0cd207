/** By what the processes of a measurement find the restore points of one another. */
export const PASSPHRASE = 'a passphrase for the benchmark';
/** One VM is measured, always the same. */
export const VM_ID = '6f1c5a0e-0000-4000-8000-68766c696674';
