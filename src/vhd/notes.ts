/** What is unusual about a file and does not keep it from being read: said beside the disk, never silently. */
export const vhdNotes = {
  footerCopyUsed: 'the footer at the end is damaged or missing; its copy at the beginning was used',
  footersDiffer:
    'the copy of the footer at the beginning is damaged or differs; the footer at the end was used',
  shortFooter: 'the footer has 511 bytes, as Virtual PC before 2004 wrote it',
  geometrySmaller:
    'Virtual PC showed its guest only as much of this disk as the geometry says; all of it is read',
} as const;

export type VhdNote = keyof typeof vhdNotes;
