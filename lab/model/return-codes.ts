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
  shutdownInProgress: 32782,
} as const;

/** What those of family C answer instead of the numbers above (facts: hyperv-classes.md, return-code families). */
const CIM: Readonly<Record<number, number>> = {
  [RETURN.notSupported]: 1,
  [RETURN.failed]: 2,
  [RETURN.timeout]: 3,
  [RETURN.invalidParameter]: 4,
  [RETURN.invalidState]: 5,
};
/** Its page has numbers of family H only; the pages of all other services have those of family C, with H as vendor numbers. */
const HYPERV_ONLY = 'Msvm_ImageManagementService';

export type ReturnCodes = 'hyperv' | 'cim';

/** The number a method of the class answers for a failure. */
export function returnCodeOf(code: number, className: string, codes: ReturnCodes): number {
  return codes === 'hyperv' || className === HYPERV_ONLY ? code : (CIM[code] ?? code);
}

/** HRESULTs of WMI itself. */
export const WBEM = {
  notFound: 0x80041002,
  invalidMethod: 0x8004102e,
  invalidParameters: 0x8004102f,
} as const;
