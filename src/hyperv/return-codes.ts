/**
 * Return codes of methods and ErrorCodes of jobs. Two families are in use and one method may answer from both:
 * CIM's (below 4096) and Hyper-V's own (from 32768). Texts are localised, so only numbers decide.
 */
export const SUCCEEDED = 0;
export const JOB_STARTED = 4096;

const ACCESS_DENIED = 32_769;
const CIM_INVALID_STATE = 5;
const SYSTEM_IN_USE = 32_774;
const INVALID_STATE = 32_775;
const FILE_NOT_FOUND = 32_779;

export const isAccessDenied = (code: number): boolean => code === ACCESS_DENIED;
export const isFileNotFound = (code: number): boolean => code === FILE_NOT_FOUND;
export const isInUse = (code: number): boolean => code === SYSTEM_IN_USE;
export const isWrongState = (code: number): boolean =>
  code === CIM_INVALID_STATE || code === SYSTEM_IN_USE || code === INVALID_STATE;
