export { FileLane, type Opener, type RemoteHandle } from './lane.ts';
export { Patience } from './patience.ts';
export { piecesOf, type Piece } from './pieces.ts';
export { Slot } from './slot.ts';
