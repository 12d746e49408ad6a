/** `systemd-analyze verify` of the real systemd accepts every form of unit. */

import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {generate} from '../../../src/generator/generate.ts';
import type {GeneratorStyle} from '../../../src/generator/style.ts';
import {readWantedFiles} from '../../../src/generator/wanted-files.ts';
import {hasTree, oracle} from './real-generator.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-verify.'));
  for (const name of ['units', 'one', 'wanted.d']) mkdirSync(path.join(directory, name));
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

/** Programs that are in every tree, so that verify finds what the units start. */
const launcher = '/usr/bin/env';
const wanted = [
  {image: '01b2c898-945f-11e1-a523-af1afbe22822', class: 'machine', channel: 'dev', retry: 2},
  {url: 'https://h/w.raw', type: 'raw', class: 'sysext', verify: 'a'.repeat(64), refresh: true},
];

/** Every option and class, and names and URLs with what means something to systemd. */
function* expressions(): Generator<string> {
  for (const type of ['raw', 'tar'])
    for (const imageClass of ['machine', 'portable', 'sysext', 'confext'])
      for (const more of ['verify=no', 'ro', 'runtime=yes', 'runtime=no,verify=checksum'])
        yield `${type},${imageClass},${more}::https://h/${type}-${more.replace(/\W/g, '')}.x`;
  for (const more of ['blockdev', 'blockdev,runtime=yes', 'skip-if-present', 'refresh', 'retry=3'])
    yield `raw,machine,${more}:${more.replace(/\W/g, '')}:http://h/x`;
  yield `tar,machine,digest=${'0'.repeat(64)},retry=1:digest:file:///srv/x`;
  for (const name of [
    'a b',
    "it's",
    '50%',
    '%%i',
    '$HOME',
    'a"b',
    'a\\\\',
    ';',
    '#x',
    '[x]',
    '\u00e9',
    '-a',
    'x.raw',
  ])
    yield `raw,machine,skip-if-present:${name}:http://h/x`;
  for (const end of ['%20', "it's", '\\', '$x', '"q"', ' b', '#f', '?a=b&c;d'])
    yield `raw,portable::http://h/${Buffer.from(end).toString('hex')}?${end}`;
}

/** One boot per expression and side; a unit's name is that of its image, so the units are put together under new names. */
function writeUnits(style: GeneratorStyle): number {
  writeFileSync(path.join(directory, 'wanted.d/w.json'), JSON.stringify(wanted));
  const ofFiles = readWantedFiles(path.join(directory, 'wanted.d'), () => undefined);
  const one = path.join(directory, 'one');
  const boots = [...expressions()].map((each) => [`systemd.pull=${each}`]);
  let count = 0;
  for (const inInitrd of [false, true]) {
    for (const words of [...boots, []]) {
      const commandLine = [
        ...words,
        'systemd.pull.success_action=reboot',
        'systemd.pull.failure_action=poweroff-force',
      ].map((word) => Buffer.from(inInitrd ? `rd.${word}` : word).toString('latin1'));
      const input = {commandLine, credential: undefined, wanted: words.length > 0 ? [] : ofFiles, inInitrd};
      const output = {directory: one, style, launcher, log: () => undefined};
      expect(generate({...input, efivarsDirectory: directory}, output)).toBe(0);
      for (const name of readdirSync(one).filter((each) => each.endsWith('.service')))
        renameSync(path.join(one, name), path.join(directory, 'units', `u${count++}.service`));
      rmSync(one, {recursive: true});
      mkdirSync(one);
    }
  }
  return count;
}

describe.each([
  {suite: 'sid', is257: false},
  {suite: 'trixie', is257: true},
])('in the tree of $suite', ({suite, is257}) => {
  const verify = (): string => {
    const script =
      'cd "$1"; SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no ./*.service 2>&1 || echo refused';
    const units = path.join(directory, 'units');
    const args = [
      '--no-importd',
      '--share',
      directory,
      suite,
      '--',
      'in-tree',
      'sh',
      '-c',
      script,
      'sh',
      units,
    ];
    return execFileSync(path.join(oracle, 'run.sh'), args, {encoding: 'utf8'});
  };

  test.runIf(hasTree(suite)).each(['imgctl', 'varlink'] as const)(
    'units that run %s are accepted',
    (form) => {
      expect(writeUnits({form, is257})).toBeGreaterThan(100);
      expect(verify()).toBe('');
    },
  );

  test.runIf(hasTree(suite))('a unit with a mistake is not', () => {
    writeFileSync(path.join(directory, 'units/u.service'), '[Service]\nType=oneshot\nExecStart=:env "a\n');
    expect(verify()).toContain('refused');
  });
});
