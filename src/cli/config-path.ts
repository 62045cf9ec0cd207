/** Where the configuration is, and what paths in it mean. */
import path from 'node:path';
import type { CliIo } from './io.ts';

export interface ConfigLocation {
  readonly path: string;
  /** Named by the user, so that its absence is an error. */
  readonly named: boolean;
}

/** `--config`, else HVLIFT_CONFIG, else the place the platform has for configurations. */
export function configLocation(option: string | undefined, io: CliIo): ConfigLocation {
  const named = option ?? io.env['HVLIFT_CONFIG'];
  if (named) return { path: absolutePath(named, io.workingFolder, io.homeFolder), named: true };
  return { path: path.join(configHome(io), 'hvlift', 'config.yaml'), named: false };
}

function configHome(io: CliIo): string {
  if (io.platform === 'win32') {
    return io.env['APPDATA'] ?? path.join(io.homeFolder, 'AppData', 'Roaming');
  }
  const xdg = io.env['XDG_CONFIG_HOME'];
  // The XDG base directory specification: a relative path here is to be ignored.
  return xdg && path.isAbsolute(xdg) ? xdg : path.join(io.homeFolder, '.config');
}

/** `~` is the home folder; a relative path starts at `folder`. */
export function absolutePath(text: string, folder: string, homeFolder: string): string {
  const home = /^~(?=$|[\\/])/.exec(text);
  return home ? path.join(homeFolder, text.slice(1)) : path.resolve(folder, text);
}
