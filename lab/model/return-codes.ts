/** Numbers Hyper-V answers with (class reference §0, families C and H). */
export const RETURN = {
  done: 0,
  jobStarted: 4096,
  failed: 32768,
  accessDenied: 32769,
  notSupported: 32770,
  timeout: 32772,
  invalidParameter: 32773,
  inUse: 32774,
  invalidState: 32775,
  /** Of the image service; 32779 is "file in use" elsewhere. */
  fileNotFound: 32779,
  notReady: 32780,
  locked: 32781,
} as const;

/** HRESULTs of WMI itself. */
export const WBEM = {
  notFound: 0x80041002,
  invalidMethod: 0x8004102e,
  invalidParameters: 0x8004102f,
} as const;
