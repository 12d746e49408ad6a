/**
 * kill -9 in the middle of create, at random instants: nothing goes on running, nothing stays mounted, the instance is
 * as it was, and the next run leaves nothing behind of the one before. IMGCTL_TEST_KILLS says how often. Needs root.
 */
import {type ChildProcess, execFileSync, spawn, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {makeGuest} from '../support/guest.ts';
import {makeNastyTree} from '../support/nasty-tree.ts';
import {listTree} from '../support/tree-listing.ts';
import {Host} from '../support/two-hosts.ts';

const bin = path.join(import.meta.dirname, '../../bin');
const kills = Number(process.env.IMGCTL_TEST_KILLS ?? 5);
const canRun = process.geteuid?.() === 0;
const canPrepare = canRun && existsSync('/usr/bin/systemd-nspawn');

let directory: string;
let host: Host;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-kills-'));
  host = new Host(path.join(directory, 'host'), {PATH: `${bin}:${process.env.PATH}`}, 'http://127.0.0.1:1');
  mkdirSync(path.join(directory, 'out'));
});
afterEach(() => removeTree(directory));

function start(args: readonly string[]): ChildProcess {
  const env = {PATH: `${bin}:${process.env.PATH}`, IMGCTL_ROOT: host.root};
  return spawn('imgctl', [...args], {env, cwd: directory, stdio: 'ignore'});
}

async function killAfter(args: readonly string[], delayMs: number): Promise<void> {
  const child = start(args);
  const ended = new Promise((resolve) => child.once('close', resolve));
  await Promise.race([ended, wait(delayMs)]);
  child.kill('SIGKILL');
  await ended;
}

/** Processes whose command line names the directory. */
function processes(): string {
  return spawnSync('pgrep', ['-af', directory]).stdout.toString();
}

/** What was killed cannot be waited for from here; its death takes the kernel a moment. */
async function untilQuiet(): Promise<void> {
  for (let left = 200; left > 0 && processes() !== ''; left--) await wait(25);
  expect(processes()).toBe('');
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  expect(execFileSync('losetup', ['-a']).toString()).not.toContain(directory);
}

/** A file under its own name is whole, and a manifest stands beside the file it speaks of. */
function expectWholeFiles(): void {
  const out = path.join(directory, 'out');
  for (const name of readdirSync(out).filter((entry) => entry.endsWith('.imgmanifest'))) {
    const manifest = JSON.parse(readFileSync(path.join(out, name), 'utf8'));
    const file = readFileSync(path.join(out, name.replace('.imgmanifest', '.tar.gz')));
    expect(manifest.files[0].sha1).toBe(createHash('sha1').update(file).digest('hex'));
  }
}

async function survivesKills(args: readonly string[]): Promise<void> {
  const before = listTree(host.machine('guest'));
  const began = Date.now();
  host.run(...args);
  const usualMs = Date.now() - began;
  for (let count = 0; count < kills; count++) {
    rmSync(path.join(directory, 'out'), {recursive: true});
    mkdirSync(path.join(directory, 'out'));
    await killAfter(args, Math.random() * usualMs);
    await untilQuiet();
    expectWholeFiles();
  }
  host.run(...args);
  expectWholeFiles();
  expect(readdirSync(path.join(directory, 'out')).sort()).toEqual(['made.imgmanifest', 'made.tar.gz']);
  expect(readdirSync(host.machine(''))).toEqual(['guest']);
  expect(listTree(host.machine('guest'))).toEqual(before);
}

const fields = ['guest', 'name=guest', 'version=1', 'os=linux'];
const target = () => ['-o', path.join(directory, 'out/made')];

test.runIf(canRun)('create leaves nothing when it is killed', {timeout: 600_000}, async () => {
  mkdirSync(host.machine('guest'));
  makeNastyTree(host.machine('guest'));
  await survivesKills(['create', '-c', 'gzip', ...target(), ...fields]);
});

test.runIf(canPrepare)(
  'create with a prepare script leaves nothing when it is killed',
  {timeout: 600_000},
  async () => {
    makeGuest(host.machine('guest'));
    const script = path.join(directory, 'script');
    writeFileSync(
      script,
      '#!/bin/sh\nmdata-put prepare-image:state running\nrm /old\nmdata-put prepare-image:state success\n',
    );
    await survivesKills(['create', '-s', script, '-c', 'gzip', ...target(), ...fields]);
  },
);
