/** Boots the guest with real ZFS (test/oracle/zfs-guest) once, with the built program and Node inside, and runs steps there. */
import {spawnSync} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync} from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');
const oracle = path.join(root, 'test/oracle/zfs-guest');
/** Where scripts/setup.sh has the guest built. */
const guestDirectory = process.env.IMGCTL_ZFS_GUEST ?? '/var/cache/imgctl-zfs-guest';
const limitSeconds = 5000;

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** Text for bash, run in the guest's folder of inputs; in their order, whatever becomes of each. */
export type Steps = Readonly<Record<string, string>>;

/** Puts the program, as it would be installed, below `target`. */
function installProgram(target: string): void {
  for (const name of ['bin', 'dist', 'migrations', 'schemas', 'package.json'])
    cpSync(path.join(root, name), path.join(target, name), {recursive: true});
  const {dependencies} = readJson(path.join(root, 'package.json'));
  const wanted = ['node', ...Object.keys(dependencies ?? {})];
  const done = new Set<string>();
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const source = path.join(root, 'node_modules', name);
    if (done.has(name) || !existsSync(source)) continue;
    done.add(name);
    cpSync(realpathSync(source), path.join(target, 'node_modules', name), {
      recursive: true,
      dereference: true,
      filter: (file) => !/\/(?:deps|src|build\/Release\/obj[^/]*|\.git)$/.test(file),
    });
    wanted.push(...Object.keys(readJson(path.join(source, 'package.json')).dependencies ?? {}));
  }
}

function readJson(file: string): {dependencies?: Record<string, string>} {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Everything in `inputs` is in the working directory of the steps; what they leave below `$OUT` is in `outputs`. */
export function runInGuest(
  steps: Steps,
  {inputs, outputs, memoryMib = 4096}: {inputs: string; outputs: string; memoryMib?: number},
): Map<string, Outcome> {
  installProgram(path.join(inputs, 'program'));
  for (const name of ['content.py', 'manifest.py', 'volsum.py', 'make-streams.sh'])
    cpSync(path.join(oracle, name), path.join(inputs, name));
  mkdirSync(path.join(inputs, 'steps'));
  for (const [name, text] of Object.entries(steps))
    writeFileSync(path.join(inputs, 'steps', name), `set -u\nfail() { echo "$*" >&2; exit 99; }\n${text}\n`);
  const names = Object.keys(steps).join(' ');
  const command = [
    'export PATH=/in/program/bin:$PATH IMGCTL_ROOT=/host IMGCTL_PROGRESS=none HOME=/root',
    'mkdir -p /host $OUT/steps',
    `for name in ${names}; do`,
    '  bash "steps/$name" >"$OUT/steps/$name.stdout" 2>"$OUT/steps/$name.stderr" </dev/null',
    '  echo $? >"$OUT/steps/$name.status"',
    // Seen by who looks at the console, which run.sh shows where the guest gives no answer.
    '  echo "$name: $(cat "$OUT/steps/$name.status"), $(cut -d" " -f1 /proc/uptime) s; $(tail -n 3 "$OUT/steps/$name.stderr")" >/dev/console',
    'done',
  ].join('\n');
  const options = ['-i', inputs, '-o', outputs, '-m', String(memoryMib), '-t', String(limitSeconds)];
  const script = path.join(oracle, 'run.sh');
  const {status, stderr} = spawnSync(script, [guestDirectory, ...options, '--', command], {encoding: 'utf8'});
  if (status !== 0) throw new Error(`The guest ended with ${status}: ${stderr}`);
  const read = (name: string, what: string) =>
    readFileSync(path.join(outputs, 'steps', `${name}.${what}`), 'utf8');
  return new Map(
    Object.keys(steps).map((name) => [
      name,
      {status: Number(read(name, 'status')), stdout: read(name, 'stdout'), stderr: read(name, 'stderr')},
    ]),
  );
}
