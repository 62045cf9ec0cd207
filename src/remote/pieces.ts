/** A read, cut into pieces that travel at once. */
export interface Piece {
  readonly offset: number;
  readonly into: Uint8Array;
}

export function* piecesOf(offset: number, into: Uint8Array, pieceBytes: number): Generator<Piece> {
  for (let at = 0; at < into.length; at += pieceBytes) {
    yield { offset: offset + at, into: into.subarray(at, at + pieceBytes) };
  }
}
