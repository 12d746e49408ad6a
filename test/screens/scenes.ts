/** What is seen in real terminals of several widths, the same in every run: what differs is masked. */

import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {Terminal} from '../support/terminal.ts';

const heldServer = path.join(import.meta.dirname, 'held-server.ts');
const bin = path.join(import.meta.dirname, '../../bin');
const base = '11111111-1111-4111-8111-111111111111';
const web = '22222222-2222-4222-8222-222222222222';
const widths = [40, 80, 200] as const;
/** Machines that have much to do. */
const patienceMs = 60_000;
const source = 'http://images.example.com';
const importWeb = `imgctl import ${web}`;

/** Screens by the name of their file. */
export type Screens = Record<string, string>;

interface Stage {
  directory: string;
  /** Address of the proxy that holds files back. */
  proxy: string;
}

export async function captureScreens(): Promise<Screens> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-screens.'));
  offerImages(path.join(directory, 'server'));
  const server = spawn(process.execPath, [heldServer, path.join(directory, 'server')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [address] = await once(server.stdout, 'data');
  const stage = {directory, proxy: String(address).trim()};
  try {
    // While the files are held, all terminals at once.
    const [progress, resize, suspended, ascii] = await Promise.all([
      Promise.all(widths.map((columns) => Shell.open(stage, `progress-${columns}`, columns))),
      Shell.open(stage, 'resize', 80),
      Shell.open(stage, 'suspended', 80),
      Shell.open(stage, 'ascii', 80, {IMGCTL_ASCII: '1'}),
    ]);
    const halves = await Promise.all([
      ...progress.map(halfWay),
      resizing(resize),
      suspending(suspended),
      halfWay(ascii),
    ]);
    server.kill('SIGUSR2');
    const wholes = await Promise.all(progress.map(goingOn));
    for (const shell of [...progress, resize, suspended, ascii]) shell.close();
    const [half40 = '', half80 = '', half200 = '', resized = '', stopped = '', plain = ''] = halves;
    const joined = [half40, half80, half200].map((half, index) => `${half}\n${wholes[index]}`);
    return {
      'import.txt': byWidth(joined),
      'resize.txt': resized,
      'ctrl-z.txt': stopped,
      'ascii.txt': plain,
    };
  } finally {
    server.kill('SIGTERM');
    rmSync(directory, {recursive: true, force: true});
  }
}

function byWidth(screens: readonly string[]): string {
  return screens.map((screen, index) => `=== ${widths[index]} columns ===\n${screen}`).join('\n');
}

/** Two images, one made from the other. */
export function offerImages(directory: string): void {
  const images = [
    {uuid: base, name: 'base-64', version: '26.1.0', size: 8 << 20},
    {uuid: web, name: 'webapp', version: '2.0.0', size: 12 << 20, origin: base},
  ];
  images.forEach(({size, ...more}, index) => {
    const folder = path.join(directory, 'images', more.uuid);
    mkdirSync(folder, {recursive: true});
    const bytes = Buffer.alloc(size, index + 1);
    const sha1 = createHash('sha1').update(bytes).digest('hex');
    const manifest = {
      v: 2,
      type: 'other',
      os: 'linux',
      public: true,
      state: 'active',
      published_at: `2026-04-1${index}T09:12:00.000Z`,
      files: [{sha1, size, compression: 'none'}],
      ...more,
    };
    writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(path.join(folder, 'file'), bytes);
  });
}

/** A shell in a terminal, with an empty host of its own. */
class Shell {
  readonly terminal: Terminal;

  private constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  static async open(
    {directory, proxy}: Stage,
    name: string,
    columns: number,
    more: Record<string, string> = {},
  ): Promise<Shell> {
    const home = path.join(directory, name);
    const root = path.join(home, 'root');
    mkdirSync(path.join(root, 'etc/imgctl'), {recursive: true});
    const sources = [{url: source, type: 'imgapi'}];
    writeFileSync(path.join(root, 'etc/imgctl/config.json'), JSON.stringify({sources}));
    const env = {
      ...{PATH: `${bin}:${process.env.PATH}`, HOME: home, IMGCTL_ROOT: root, LC_ALL: 'C.UTF-8'},
      ...{http_proxy: proxy, TERM: 'screen', PS1: '# ', BASH_SILENCE_DEPRECATION_WARNING: '1'},
      ...more,
    };
    const command = ['bash', '--norc', '--noprofile', '-i'];
    const shell = new Shell(new Terminal({directory: home, env, columns, command}));
    await shell.until((screen) => screen === '#');
    return shell;
  }

  async run(words: string): Promise<void> {
    this.terminal.type(words);
    this.terminal.press('Enter');
  }

  async until(looks: (screen: string) => boolean): Promise<string> {
    const end = Date.now() + patienceMs;
    for (;;) {
      const screen = this.terminal.screen();
      if (looks(screen)) return masked(screen);
      if (Date.now() > end) throw new Error(`the screen never came:\n${screen}`);
      await sleep(150);
    }
  }

  close(): void {
    this.terminal.close();
  }
}

/** Of half of both files, and of all of them together. */
const isHalf = (screen: string): boolean => (screen.match(/ 50% /g) ?? []).length === 3;
const isPrompt = (screen: string): boolean => /\n#$/.test(screen);

async function halfWay(shell: Shell): Promise<string> {
  await shell.run(importWeb);
  const half = await shell.until(isHalf);
  shell.terminal.press('C-c');
  const stopped = await shell.until(isPrompt);
  return `--- half of both files has come ---\n${half}\n--- Ctrl-C ---\n${stopped}`;
}

async function goingOn(shell: Shell): Promise<string> {
  shell.terminal.press('C-l');
  await shell.until((screen) => screen === '#');
  // Of one: of two, who is first differs from run to run.
  await shell.run(`imgctl import ${base}`);
  const done = await shell.until(isPrompt);
  await shell.run('clear; imgctl list; imgctl list --long; imgctl list os=plan9');
  const lists = await shell.until((screen) => /there are 1\n#$/.test(screen));
  return `--- one of them again ---\n${done}\n--- lists ---\n${lists}`;
}

async function resizing(shell: Shell): Promise<string> {
  const parts: string[] = [];
  await shell.run(importWeb);
  for (const columns of [80, 40, 200, 80]) {
    shell.terminal.resize(columns);
    const screen = await shell.until((text) => isAt(text.split('\n').slice(-3), columns));
    // What stands above depends on how the terminal wraps it anew.
    parts.push(`--- ${columns} columns ---\n${screen.split('\n').slice(-3).join('\n')}`);
  }
  return parts.join('\n');
}

/** Whether the last three lines are bars of the width. */
function isAt(lines: readonly string[], columns: number): boolean {
  return lines.every((line) => {
    const cells = /\[[=> ]+\]/.exec(line)?.[0].length ?? 0;
    const fits = columns === 40 ? cells === 0 : columns === 80 ? cells > 0 && cells < 20 : cells > 20;
    return fits && / 50% /.test(line);
  });
}

async function suspending(shell: Shell): Promise<string> {
  await shell.run(importWeb);
  await shell.until(isHalf);
  shell.terminal.press('C-z');
  const stopped = await shell.until(isPrompt);
  await shell.run('fg');
  const back = await shell.until((screen) => isHalf(screen.slice(screen.lastIndexOf('# fg'))));
  return `--- Ctrl-Z ---\n${stopped}\n--- fg ---\n${back}`;
}

/** What depends on how fast the machine is: rate and time left, or that nothing comes. */
function masked(screen: string): string {
  return screen.replace(/^(.* 50% +\d+\.\d [KM]iB).*$/gm, '$1');
}
