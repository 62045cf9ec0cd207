export { findKernel } from './guest-files.ts';
export { GUEST_PROGRAMS, makeGuestImage } from './guest-image.ts';
