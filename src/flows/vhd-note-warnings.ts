/** What is unusual about a VHD file, as the user is told. */
import type { Warning } from '../base/index.ts';
import { vhdNotes, type VhdNote } from '../vhd/index.ts';

export function noteWarnings(path: string, notes: readonly VhdNote[]): Warning[] {
  return notes.map((note) => ({
    code: `VHD_${note.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
    message: `${path}: ${vhdNotes[note]}`,
    remedy: 'nothing to do: all of it is read',
  }));
}
