export { imageFault, imageFaults } from './faults.ts';
export { ImageName } from './image-name.ts';
export * from './image-formats.ts';
export type { ImageOptions, ImageWriter } from './image-writer.ts';
export * from './qcow2-image.ts';
export * from './raw-image.ts';
export * from './vhd-image.ts';
export * from './vhdx-image.ts';
