/** The real program, as a process: bin/hvlift.js, its exit codes, signals, pipes and terminals. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { requires } from '../../test/requires.ts';

const root = join(import.meta.dirname, '..', '..');
const bin = join(root, 'bin', 'hvlift.js');
const scratch = mkdtempSync(join(tmpdir(), 'hvlift-bin-'));
after(() => rmSync(scratch, { recursive: true }));

const ENV = { PATH: process.env['PATH'], HOME: scratch, HVLIFT_CONFIG: join(scratch, 'config.yaml') };

function hvlift(args: readonly string[], program = bin, node = process.execPath) {
  return spawnSync(node, [program, ...args], { env: ENV, cwd: scratch, encoding: 'utf8', timeout: 60_000 });
}

/** A package laid out at `folder`, whose programs print what they are called with and exit with 7. */
function stage(folder: string, files: readonly string[]): string {
  const echo = (file: string): string =>
    `console.log(JSON.stringify(['${file}', ...process.argv.slice(2)]));`;
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    const start = 'export async function start(args) { console.log(JSON.stringify(args)); process.exit(7); }';
    writeFileSync(
      join(folder, file),
      file.includes('cli') ? `${echo(file)}\n${start}\n` : `${echo(file)}\nprocess.exit(7);\n`,
    );
  }
  mkdirSync(join(folder, 'bin'), { recursive: true });
  cpSync(bin, join(folder, 'bin', 'hvlift.js'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  return join(folder, 'bin', 'hvlift.js');
}

test('the program starts, prints its version, and passes its exit code on', () => {
  const version = hvlift(['--version']);
  assert.deepEqual([version.status, version.stdout, version.stderr], [0, '0.1.0\n', '']);
  assert.equal(hvlift(['nonsense']).status, 64);
  const refused = hvlift(['vms', '--json']);
  assert.equal(refused.status, 2);
  assert.equal(JSON.parse(refused.stdout).error.code, 'CONFIG_NOT_FOUND');
});

test('a clone runs its source, an installed package what was built', () => {
  const files = ['src/cli/main.ts', 'dist/src/cli/main.js', 'lab/main.ts', 'dist/lab/main.js'];
  const clone = stage(join(scratch, 'clone'), files);
  assert.match(hvlift(['a', 'b'], clone).stdout, /^\["src\/cli\/main\.ts","a","b"\]\n\["a","b"\]\n$/);
  const installed = stage(join(scratch, 'node_modules', 'hvlift'), files);
  assert.match(hvlift(['a'], installed).stdout, /^\["dist\/src\/cli\/main\.js","a"\]/);
  const published = stage(
    join(scratch, 'published'),
    files.filter((file) => file.startsWith('dist')),
  );
  assert.match(hvlift(['a'], published).stdout, /^\["dist\/src\/cli\/main\.js","a"\]/);
});

test('`hvlift lab` is the lab’s own program, with its arguments and its exit code', () => {
  const clone = stage(join(scratch, 'with-lab'), ['src/cli/main.ts', 'lab/main.ts']);
  const lab = hvlift(['lab', 'start', '--port', '0'], clone);
  assert.deepEqual([lab.status, lab.stdout], [7, '["lab/main.ts","start","--port","0"]\n']);
});

test('an older Node is told apart: the project’s own Node takes over, else the user learns what is needed', () => {
  const clone = stage(join(scratch, 'older'), ['src/cli/main.ts']);
  const pretend = join(scratch, 'pretend.mjs');
  writeFileSync(
    pretend,
    `Object.defineProperty(process.versions, 'node', { value: '20.1.0' });\nawait import(process.argv.splice(1, 1, process.argv[2])[0] && process.argv.splice(2, 1)[0]);\n`,
  );
  const alone = spawnSync(process.execPath, [pretend, clone, 'vms'], { encoding: 'utf8', env: ENV });
  assert.equal(alone.status, 2);
  assert.match(alone.stderr, /this is Node 20\.1\.0; hvlift needs Node 24 or newer\ndo: install Node 24/);
  const node = join(
    scratch,
    'older',
    'scripts',
    'node-runtime',
    'node_modules',
    `node-${process.platform}-${process.arch}`,
    'bin',
    'node',
  );
  mkdirSync(dirname(node), { recursive: true });
  writeFileSync(node, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  const helped = spawnSync(process.execPath, [pretend, clone, 'vms'], { encoding: 'utf8', env: ENV });
  assert.equal(helped.status, 7, helped.stderr);
  assert.match(helped.stdout, /\["vms"\]\n$/);
});

test(
  'a reader that closes the pipe early causes no error message',
  requires(['sh', 'head'], 'closed pipes'),
  () => {
    // More than the 64 KiB a pipe holds, so that the program meets the closed end.
    const hosts = Array.from(
      { length: 3000 },
      (_, i) => `  h${i}: {url: "http://host${i}.example.com", user: u}`,
    );
    writeFileSync(join(scratch, 'many.yaml'), `hosts:\n${hosts.join('\n')}\n`);
    const list = `'${process.execPath}' '${bin}' host list --config many.yaml | head -n 1`;
    const done = spawnSync('sh', ['-c', list], { env: ENV, cwd: scratch, encoding: 'utf8' });
    assert.match(done.stdout, /^NAME +URL +USER +PASSWORD FROM\n$/);
    assert.equal(done.stderr, '');
  },
);

const onTerminal = requires(['script'], 'prompts and Ctrl-C on a real terminal');

/** Runs a shell command on a terminal of its own; `type` is called with what the terminal shows. */
function terminal(
  command: string,
  type: (shown: string, write: (keys: string) => void) => void,
): Promise<string> {
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...ENV, TERM: 'xterm' },
    cwd: scratch,
  });
  let shown = '';
  child.stdout.on('data', (bytes: Buffer) => {
    shown += bytes.toString();
    type(shown, (keys) => child.stdin.write(keys));
  });
  return new Promise((resolve) => {
    child.on('close', () => resolve(shown));
  });
}

test(
  'on a terminal a passphrase is asked for twice without echo; Ctrl-C ends with 130 and puts the terminal back',
  onTerminal,
  async () => {
    writeFileSync(ENV.HVLIFT_CONFIG, '');
    let typed = 0;
    const init = `'${process.execPath}' '${bin}' init --repo ./new; echo "exit $?"; stty -a | grep -o ' -\\?echo ' ; echo end`;
    const shown = await terminal(init, (text, write) => {
      if (typed === 0 && text.includes('The passphrase of repository')) {
        typed = 1;
        write('geheim\r');
      } else if (typed === 1 && text.includes('again: ')) {
        typed = 2;
        write('geh\u0003');
      }
    });
    assert.equal(typed, 2, shown);
    assert.ok(!shown.includes('geh'), shown);
    assert.match(shown, /exit 130\r?\n echo /);
    assert.equal(existsSync(join(scratch, 'new')), false);
  },
);

test('a configuration that names a file of secrets never shows what is in it', () => {
  writeFileSync(join(scratch, 'password'), 'Tr0ub4dor\n', { mode: 0o600 });
  writeFileSync(
    ENV.HVLIFT_CONFIG,
    'hosts: {h: {url: "http://127.0.0.1:9", user: u, passwordFile: password}}\n',
  );
  for (const args of [['host', 'list'], ['host', 'test', 'h'], ['vms'], ['vms', '--json']]) {
    const { stdout, stderr } = hvlift(args);
    assert.notEqual(stdout + stderr, '');
    assert.ok(!(stdout + stderr).includes('Tr0ub4dor'));
  }
});
