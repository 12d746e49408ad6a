/** Completion in the real shells (ux.md §13): what they offer for the same beginnings of command lines. */

import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Terminal} from '../support/terminal.ts';
import {World} from '../support/world.ts';

const world = new World();
let uuid: string;

beforeAll(async () => {
  await world.start();
  world.configure({sources: [{url: world.url, type: 'imgapi', name: 'corp'}]});
  uuid = world.publish(Buffer.alloc(4096, 1), {name: 'base', version: '1.0.0'}).uuid;
  expect(world.run(['avail']).status).toBe(0);
  expect(world.run(['import', '-q', uuid]).status).toBe(0);
  mkdirSync(path.join(world.root, 'var/lib/machines/web1'), {recursive: true});
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(path.join(world.directory, shell), world.run(['completion', shell]).stdout);
  // Whatever is offered from here on is known without the source.
  await world.stop();
  world.env.IMGCTL_OFFLINE = '1';
});
afterAll(() => world.end());

function run(program: string, ...args: string[]): string {
  const {stdout, stderr} = spawnSync(program, args, {
    env: world.env,
    cwd: world.directory,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout;
}

/** Without meanings, as a set. */
function offered(text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return [...new Set(lines.map((line) => line.split('\t')[0] ?? ''))].sort();
}

/** Bash breaks a line at blanks, "=" and ":" before it asks. */
const askBash = `. ./bash
words=() COMP_LINE=$1 COMP_POINT=\${#1}
while read -r word; do words+=("$word"); done < <(printf '%s' "$1" | sed -e 's/[=:]/ & /g' -e 's/ $/ \\x01/' | tr -s ' ' '\\n' | tr -d '\\001'; echo)
COMP_WORDS=("\${words[@]}") COMP_CWORD=$((\${#words[@]} - 1))
_imgctl
printf '%s\\n' "\${COMPREPLY[@]}"`;

const asked: [line: string, wanted: string[] | (() => string[])][] = [
  ['imgctl ser', ['serve', 'server']],
  ['imgctl server a', ['acl', 'activate', 'add-icon']],
  ['imgctl --root / doct', ['doctor']],
  ['imgctl help manif', ['manifest']],
  ['imgctl import --prog', ['--progress=']],
  ['imgctl list --o', ['--offline']],
  ['imgctl list -o publ', ['public', 'published', 'published_at', 'published_date']],
  ['imgctl clone b', ['base@1.0.0']],
  ['imgctl show base', ['base@1.0.0']],
  ['imgctl import -P z', ['zones']],
  ['imgctl sources -d c', ['corp']],
  ['imgctl create we', ['web1']],
  ['imgctl completion ', ['bash', 'fish', 'zsh']],
  ['imgctl get ', () => ['base@1.0.0', uuid].sort()],
  ['imgctl clone base@1.0.0 ', []],
  ['imgadm get ', () => [uuid]],
  ['imgadm info --', ['--help', '--pool=', '--recursive']],
  ['imgadm v', ['vacuum']],
  ['importctl pull-', ['pull-raw', 'pull-tar']],
  ['importctl --cl', ['--class=']],
  ['importctl pull-tar --ver', ['--verify=']],
  ['importctl export-tar we', ['web1']],
  ['importctl li', ['list-images', 'list-transfers']],
];

test.each(asked)('bash and fish complete "%s"', (line, wanted) => {
  const expected = typeof wanted === 'function' ? wanted() : wanted;
  expect(offered(run('bash', '--norc', '-c', askBash, 'bash', line))).toEqual(expected);
  const script = 'source ./fish; complete -C $argv[1]';
  expect(offered(run('fish', '--no-config', '-c', script, line))).toEqual(expected);
});

test.each([
  ['imgctl import --progress=p', ['plain'], ['--progress=plain']],
  ['imgctl install -m ba', ['bash'], ['bash']],
  ['imgctl install --manifest=ba', ['bash'], ['--manifest=bash']],
])('values behind "%s" and files', (line, bash, fish) => {
  // Only a shell that completes can be told that words are names of files.
  const script = `compopt() { :; }\n${askBash}`;
  expect(offered(run('bash', '--norc', '-c', script, 'bash', line))).toEqual(bash);
  expect(offered(run('fish', '--no-config', '-c', 'source ./fish; complete -C $argv[1]', line))).toEqual(
    fish,
  );
});

describe('in a terminal', () => {
  function open(command: string[]): Terminal {
    const env = {...world.env, PS1: '> ', TERM: 'screen'};
    return new Terminal({directory: world.directory, env, columns: 100, command});
  }

  test('zsh completes commands, values and options', {timeout: 120_000}, async () => {
    const terminal = open(['zsh', '-f']);
    try {
      terminal.type('PS1="> "; autoload -U compinit && compinit -u -D && source ./zsh && clear');
      terminal.press('Enter');
      await terminal.until((screen) => screen === '>');
      for (const [typed, shown] of [
        ['imgctl doct', '> imgctl doctor'],
        ['imgctl server chan', '> imgctl server channel'],
        ['imgctl clone ba', '> imgctl clone base@1.0.0'],
        ['imgctl import --prog', '> imgctl import --progress='],
        ['imgctl import --progress=js', '> imgctl import --progress=json'],
        ['imgctl sources -d c', '> imgctl sources -d corp'],
        ['imgctl install -m bas', '> imgctl install -m bash'],
        ['imgadm info ', `> imgadm info ${uuid}`],
        ['importctl export-raw w', '> importctl export-raw web1'],
      ] as const) {
        terminal.type(typed);
        terminal.press('Tab');
        await terminal.until((screen) => screen === shown);
        terminal.press('C-u');
        await terminal.until((screen) => screen === '>');
      }
      terminal.type('imgctl export-');
      terminal.press('Tab');
      const screen = await terminal.until((text) => text.includes('write a disk image'));
      expect(screen).toMatch(/export-raw +-- write a disk image to a file/);
    } finally {
      terminal.close();
    }
  });

  test('bash completes what stands behind ":" and "=" too', {timeout: 120_000}, async () => {
    const terminal = open(['bash', '--norc']);
    try {
      terminal.type('PS1="> "; . ./bash; clear');
      terminal.press('Enter');
      await terminal.until((screen) => screen === '>');
      for (const [typed, shown] of [
        ['imgctl doct', '> imgctl doctor'],
        ['imgctl import --progress=js', '> imgctl import --progress=json'],
        ['imgctl --root / server upd', '> imgctl --root / server update'],
        ['imgctl clone ba', '> imgctl clone base@1.0.0'],
        ['importctl export-raw w', '> importctl export-raw web1'],
      ] as const) {
        terminal.type(typed);
        terminal.press('Tab');
        await terminal.until((screen) => screen === shown);
        terminal.press('C-u');
        await terminal.until((screen) => screen === '>');
      }
    } finally {
      terminal.close();
    }
  });
});

test('an importctl that is not imgctl keeps its own completion', () => {
  const script = 'PATH=/usr/bin:/bin; . ./bash; complete -p importctl 2>/dev/null; complete -p imgctl';
  expect(run('bash', '--norc', '-c', script)).toBe('complete -F _imgctl imgctl\n');
});

test('values make nothing, and failures are silent', () => {
  const root = path.join(world.directory, 'nowhere');
  const kinds = ['installed', 'offered-names', 'instances', 'local', 'transfers', 'nonsense'];
  const args = kinds.flatMap((kind) => ['--values', kind]);
  expect(world.run(['--root', root, 'completion', ...args])).toMatchObject({
    status: 0,
    stdout: '',
    stderr: '',
  });
  expect(existsSync(root)).toBe(false);
  writeFileSync(path.join(world.root, 'var/lib/imgctl/catalog.db'), 'rubbish');
  expect(world.run(['completion', '--values', 'installed'])).toMatchObject({
    status: 0,
    stdout: '',
    stderr: '',
  });
});

test('an unknown shell is refused', () => {
  expect(world.run(['completion', 'tcsh'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('invalid shell "tcsh": must be bash, zsh or fish'),
  });
});
