/** Where this machine keeps what hvlift must remember between runs and no user edits (XDG base directories; %LOCALAPPDATA% on Windows). */
import { join } from 'node:path';
import type { CliIo } from './io.ts';

export function stateFolder(io: Pick<CliIo, 'env' | 'platform' | 'homeFolder'>): string {
  const { env, homeFolder } = io;
  if (io.platform === 'win32')
    return join(env['LOCALAPPDATA'] ?? join(homeFolder, 'AppData', 'Local'), 'hvlift');
  return join(env['XDG_STATE_HOME'] || join(homeFolder, '.local', 'state'), 'hvlift');
}
