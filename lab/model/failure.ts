/** What the emulated host refuses, with the number it answers. A method returns the number; a job ends in it. */
export class LabFailure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
