/** Text on a terminal: how many cells it takes, how to cut it, and how to keep it from being more than text. */

// East Asian Wide and Fullwidth (UAX 11) and emoji take two cells; a column of Japanese VM names would otherwise not align.
// Ranges, not scripts: half-width katakana are of the same script as the full-width ones.
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;
const WIDTHLESS = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
// Controls, and the marks that reorder text: names come from hosts, and a VM named ESC]0;... must not drive the terminal.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g; // oxlint-disable-line no-control-regex

/** Cells of `text`, which must be printable. */
export function textWidth(text: string): number {
  let cells = 0;
  for (const char of text) cells += WIDTHLESS.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return cells;
}

/** One line that is only text: what a terminal would obey is shown as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return escapeUnprintable(text, (code) => {
    const hex = code.toString(16);
    return code < 256 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex}`;
  });
}

/** Replaces each character a terminal would obey by what `escape` makes of its code. */
export function escapeUnprintable(text: string, escape: (code: number) => string): string {
  return text.replace(UNPRINTABLE, (char) => escape(char.charCodeAt(0)));
}

/** The longest beginning of `text` within `cells`, with `…` in place of what was cut. */
export function cutTo(text: string, cells: number): string {
  if (textWidth(text) <= cells) return text;
  let kept = '';
  let used = 1;
  for (const char of text) {
    used += textWidth(char);
    if (used > cells) break;
    kept += char;
  }
  return cells > 0 ? `${kept}…` : '';
}

export function padEnd(text: string, cells: number): string {
  return text + ' '.repeat(Math.max(0, cells - textWidth(text)));
}

export function padStart(text: string, cells: number): string {
  return ' '.repeat(Math.max(0, cells - textWidth(text))) + text;
}

/** Lines of at most `cells`, broken at blanks; a longer word has a line of its own and stays whole. */
export function wrapTo(text: string, cells: number): string[] {
  const lines: string[] = [];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(last) + 1 + textWidth(word) <= cells)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
