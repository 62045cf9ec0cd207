#!/usr/bin/env node
/**
 * Runs one of the project's commands after bringing what it needs: the dependencies, Node 24 when this Node is older, and
 * for tests the Debian packages they talk to. Plain JavaScript for Node >= 20, because it runs before anything is there.
 *
 *   node scripts/run.js demo|bench|test|test-long|check|build|format [arguments]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MAJOR = 24;

// Not `npm ci`: it refuses a lock file without the optional binaries of platforms that a registry mirror does not carry.
// `--no-save` keeps to the lock file and never writes it.
const INSTALL = ['install', '--no-save'];

const TEST_PACKAGES = readFileSync(join(root, 'scripts', 'debian-packages.txt'), 'utf8')
  .split('\n')
  .map((line) => line.replace(/#.*/, '').trim())
  .filter(Boolean);

const SSH_CIPHERS = join(root, 'node_modules', 'ssh2', 'lib', 'protocol', 'crypto', 'build', 'Release', 'sshcrypto.node');

const COMMANDS = {
  demo: (node, args) => exec(node, ['-C', 'source', 'lab/demo.ts', ...args]),
  bench: (node, args) => exec(node, ['-C', 'source', 'bench/main.ts', ...args]),
  test: (node, args) => test(node, ['{src,lab,test}/**/*.test.ts'], ['--import=./test/fixed-seed.ts', ...args]),
  'test-long': (node, args) => test(node, ['{src,lab,test}/**/*.long.ts'], args),
  check: (node) => check(node),
  build: (node) => exec(node, [bin('typescript', 'bin/tsc'), '-p', 'tsconfig.build.json']),
  format: (node) => exec(node, [bin('oxfmt', 'bin/oxfmt'), 'src', 'lab', 'test', 'bench', 'examples']),
};

main(process.argv[2], process.argv.slice(3));

function main(name, args) {
  const command = COMMANDS[name];
  if (!command) fail(`usage: node scripts/run.js ${Object.keys(COMMANDS).join('|')}`);
  process.chdir(root);
  const node = nodeForProject();
  const isTest = name.startsWith('test');
  if (isTest) installDebianPackages();
  installDependencies(node);
  // Dependencies may have been installed, by another command, before there was a compiler.
  if (isTest && !existsSync(SSH_CIPHERS)) buildSshCiphers(node);
  process.exit(command(node, args));
}

/** This Node when it is new enough, else Node 24 from the npm registry, kept under scripts/node-runtime. */
function nodeForProject() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return process.execPath;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const folder = join(root, 'scripts', 'node-runtime');
  const node = join(folder, 'node_modules', `node-${platform}-${process.arch}`, 'bin', platform === 'win' ? 'node.exe' : 'node');
  if (!existsSync(node)) {
    say(`this is Node ${process.versions.node}; fetching Node ${NODE_MAJOR} for the project`);
    npm(INSTALL, folder);
  }
  if (!existsSync(node)) fail(`there is no Node ${NODE_MAJOR} package for ${platform}-${process.arch}; install Node ${NODE_MAJOR} and run this again`);
  return node;
}

/** Installs when the lock file, or the Node to install for, is not that of the last time. */
function installDependencies(node) {
  const stamp = join(root, 'node_modules', '.hvlift-lock');
  const lock = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
  const installed = `${lock} ${node === process.execPath ? process.version : node}`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === installed) return;
  say('installing dependencies');
  npm(INSTALL, root, node);
  buildSshCiphers(node);
  writeFileSync(stamp, installed);
}

/**
 * Compiles the ciphers of ssh2 for the Node that will run them: install scripts are off, and npm's own settings may point at the
 * headers of another Node, for which they would be built and then not load. Without a compiler everything works, only
 * slower; `hvlift host test` says so.
 */
function buildSshCiphers(node) {
  const prefix = dirname(dirname(realpathSync(node)));
  if (!existsSync(join(prefix, 'include', 'node', 'node.h'))) return;
  spawnSync('npm', ['rebuild', 'ssh2', '--ignore-scripts=false'], {
    cwd: root,
    env: { ...process.env, PATH: pathWith(node), npm_config_nodedir: prefix },
    stdio: 'ignore',
    shell: process.platform === 'win32',
  });
}

/** As root on Debian, what the interop tests talk to is installed; elsewhere those tests say what they did not prove. */
function installDebianPackages() {
  if (process.platform !== 'linux' || process.getuid() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const missing = TEST_PACKAGES.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  say(`installing Debian packages for the tests: ${missing.join(' ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => spawnSync('apt-get', ['-qq', '-y', ...args], { env: environment, stdio: ['ignore', 'ignore', 'inherit'] }).status;
  if (apt('update') !== 0 || apt('install', '--no-install-recommends', ...missing) !== 0) {
    say('not every package could be installed; the tests that need the missing ones will be skipped');
  }
}

function isInstalled(name) {
  const query = spawnSync('dpkg-query', ['-W', '-f', '${Status}', name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout.includes('install ok installed');
}

function check(node) {
  const steps = [
    [bin('typescript', 'bin/tsc'), '-p', 'tsconfig.json'],
    [bin('oxlint', 'bin/oxlint'), '--type-aware', '--deny-warnings'],
    [bin('oxfmt', 'bin/oxfmt'), '--check', 'src', 'lab', 'test', 'bench', 'examples'],
    [bin('knip', 'bin/knip.js'), '--no-config-hints'],
  ];
  const failed = steps.filter((step) => exec(node, step) !== 0);
  return failed.length === 0 ? 0 : 1;
}

/**
 * Arguments that are not options replace the default test files, options go to the process of every file. `CI=true` makes a
 * skipped test a failure. Compiled code is kept: half of what starting a file costs, of which there are hundreds.
 */
function test(node, patterns, args) {
  const files = args.filter((arg) => !arg.startsWith('-'));
  const options = args.filter((arg) => arg.startsWith('-'));
  process.env.NODE_COMPILE_CACHE ??= join(root, '.cache', 'compiled');
  const status = exec(node, [
    'scripts/run-tests.js', '--conditions=source', ...options, ...(files.length > 0 ? files : patterns),
  ]);
  const skips = join(root, '.cache', 'skipped-tests.txt');
  const skipped = existsSync(skips) ? readFileSync(skips, 'utf8').trim() : '';
  if (skipped === '') return status;
  console.error(`\nskipped, so not proved:\n${skipped}`);
  return status === 0 && process.env.CI ? 1 : status;
}

function npm(args, cwd, node = process.execPath) {
  const done = spawnSync('npm', args, {
    cwd,
    env: { ...process.env, PATH: pathWith(node) },
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) fail(`npm ${args.join(' ')} failed in ${cwd}`);
}

function exec(node, args) {
  return spawnSync(node, args, { stdio: 'inherit', env: { ...process.env, PATH: pathWith(node) } }).status ?? 1;
}

function pathWith(node) {
  return `${dirname(node)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH}`;
}

function bin(name, file) {
  return join(root, 'node_modules', name, file);
}

function say(text) {
  console.error(`hvlift: ${text}`);
}

function fail(text) {
  console.error(`hvlift: ${text}`);
  process.exit(1);
}
