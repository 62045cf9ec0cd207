export { findKernel } from './guest-files.ts';
export { GUEST_PROGRAMS, makeGuestImages } from './guest-image.ts';
export { guestFiles, qemuGuests } from './qemu-guest.ts';
