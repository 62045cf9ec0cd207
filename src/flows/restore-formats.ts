/** What a restore point can leave as: one image a disk, or one package with all of them. */
import {
  compressedFormats,
  filesOfImage,
  imageFormats,
  type CompressedFormat,
  type FormatInfo,
  type ImageFormat,
  type StreamFormat,
} from '../images/index.ts';

export type RestoreFormat = ImageFormat | CompressedFormat | 'ova';
/** Formats that are written front to back, so that they can go down a pipe. */
export type PipeFormat = StreamFormat | 'ova';

/** What holds for every disk that leaves in the format. */
export function formatInfo(format: RestoreFormat): FormatInfo {
  if (format === 'ova') return { ...compressedFormats['vmdk-stream'], extension: 'ova' };
  return isCompressed(format) ? compressedFormats[format] : imageFormats[format];
}

/** The files that an image at `path` will have: what must not be there before. */
export function filesOf(format: RestoreFormat, path: string): string[] {
  return format === 'ova' || isCompressed(format) ? [path] : filesOfImage(format, path);
}

export function isCompressed(format: RestoreFormat): format is CompressedFormat {
  return format in compressedFormats;
}
