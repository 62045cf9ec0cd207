#!/usr/bin/env node
/**
 * Starts hvlift. Plain JavaScript that older Node versions can read, because it is what tells them apart.
 *
 * In a clone the TypeScript source is run as it is; Node does not do that below node_modules, so an installed package runs
 * what was built into dist. `hvlift lab` is a program of its own: the emulated host shares nothing with what it tests.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MAJOR = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const isClone = existsSync(join(root, 'scripts', 'run.js'));

// Half of a start is compiling: measured 0.40 s with the cache, 0.75 s without, on a busy machine with two cores.
module.enableCompileCache?.(cacheFolder());
process.env['NODE_COMPILE_CACHE'] ??= cacheFolder(); // worker threads look here: 0.08 s instead of 0.13 s for each

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR) runWithNewerNode();
else if (isClone && !existsSync(join(root, 'node_modules'))) {
  refuse('CLI_DEPENDENCIES_MISSING', 'this clone has not been set up yet', bringAll());
} else if (args[0] === 'lab') runWith(process.execPath, [program('lab/main'), ...args.slice(1)]);
else await (await import(pathToFileURL(program('src/cli/main')).href)).start(args);

/** The source in a clone, what was built from it in an installed package. */
function program(name) {
  const source = join(root, `${name}.ts`);
  const installed = root.split(sep).includes('node_modules');
  return existsSync(source) && !installed ? source : join(root, 'dist', `${name}.js`);
}

/** Of this user alone: whoever can write to it decides what the program does. Node leaves it unused when it cannot write. */
function cacheFolder() {
  const { env, platform } = process;
  if (platform === 'win32') {
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'hvlift', 'cache');
  }
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'hvlift');
}

/** Node 24 as scripts/run.js fetches it for the project; undefined when it was not. */
function nodeOfClone() {
  const windows = process.platform === 'win32';
  const packageName = `node-${windows ? 'win' : process.platform}-${process.arch}`;
  const node = join(
    root,
    'scripts',
    'node-runtime',
    'node_modules',
    packageName,
    'bin',
    windows ? 'node.exe' : 'node',
  );
  return existsSync(node) ? node : undefined;
}

function runWithNewerNode() {
  const node = nodeOfClone();
  if (node) return runWith(node, [fileURLToPath(import.meta.url), ...args]);
  refuse(
    'CLI_NODE_TOO_OLD',
    `this is Node ${process.versions.node}; hvlift needs Node ${NODE_MAJOR} or newer`,
    isClone
      ? bringAll()
      : `install Node ${NODE_MAJOR} from nodejs.org or your package manager, then run the command again`,
  );
}

function bringAll() {
  return `run \`npm run build\` in ${root} once: it brings all that is needed, Node ${NODE_MAJOR} included`;
}

function refuse(code, text, remedy) {
  console.error(`error ${code}: ${text}\ndo: ${remedy}`);
  process.exitCode = 2;
}

/** The child shares the terminal: Ctrl-C reaches it without us, and we wait for what it makes of it. */
function runWith(node, nodeArgs) {
  const env = { NODE_COMPILE_CACHE: cacheFolder(), ...process.env };
  const child = spawn(node, nodeArgs, { stdio: 'inherit', env });
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // One of these ends a child that had no time yet to make a cancelled run of it.
  const cancels = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  child.on('exit', (code, signal) => process.exit(code ?? (cancels.includes(signal) ? 130 : 1)));
}
