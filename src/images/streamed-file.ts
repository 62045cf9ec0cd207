/** An image that is a stream of bytes, in a file that has its name only once it is whole. */
import { free } from '../base/index.ts';
import { ImageFile } from './image-file.ts';
import type { ImageNameOptions } from './image-name.ts';

/** Writes `<path>.partial` and gives it its name. Nothing is left when it fails. The pieces are used up: {@link free}. */
export async function writeStreamedImage(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  options: ImageNameOptions,
): Promise<number> {
  const file = await ImageFile.create(path, options);
  try {
    let position = 0;
    for await (const piece of bytes) {
      await file.write(position, piece);
      position += piece.length;
      free(piece);
    }
    await file.finish();
    return position;
  } catch (error) {
    await file.abort();
    throw error;
  }
}
