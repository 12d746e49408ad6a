/** The import generator on what nobody would type: it never fails for it, and nothing of it becomes a line of a unit. */

import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {splitCommandLine} from '../../src/generator/command-line.ts';
import {readCredential} from '../../src/generator/credentials.ts';
import {generate} from '../../src/generator/generate.ts';
import {readWantedFiles} from '../../src/generator/wanted-files.ts';
import {commandWords, readUnitFile} from '../support/unit-file.ts';

let directory = '';
let said: string[] = [];
const log = (_level: string, line: string): void => {
  said.push(line);
};
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-generator.'));
  for (const name of ['units', 'wanted.d', 'efivars']) mkdirSync(path.join(directory, name));
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

interface Hostile {
  commandLine: string;
  credential: string;
  wanted: string;
  efiVariable: string;
  inInitrd: boolean;
}

/** Bytes (latin1): line breaks, NUL, quotes, what systemd replaces, and halves of UTF-8 characters among plausible pieces. */
const piece = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'systemd.pull=',
      'rd.systemd.pull=',
      'raw,machine:',
      'tar,sysext,verify=no:',
      'raw,confext,blockdev,skip-if-present,retry=3:',
      'raw,machine,bootorigin:',
      'tar,portable,refresh,runtime=yes:',
      `raw,machine,digest=${'a'.repeat(64)}:`,
      'name:',
      ':',
      'http://h/a.raw',
      'file:///a.tar',
      'systemd.pull.success_action=',
      '"',
      "'",
      ' ',
      '\\',
      '%n',
      '$HOME',
      '../',
      '\n',
      '\nExecStart=/bin/sh\n',
      '\r',
      '\0',
      '\x1b[2J',
      '\xff',
      '\xc3',
      '\xc3\xa9',
      '\xe2\x80\xa8',
      ';',
      '#',
      '[Service]',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.string({unit: fc.integer({min: 0, max: 255}).map((code) => String.fromCharCode(code))}),
  },
  {weight: 1, arbitrary: fc.constantFrom('x'.repeat(3000), '-'.repeat(300), ','.repeat(500))},
);
const text = fc.array(piece, {maxLength: 12}).map((pieces) => pieces.join(''));
/** Whole but for what stands in one or the other field. */
const expression = fc
  .tuple(
    fc.constantFrom(
      'raw,machine',
      'tar,sysext,ro',
      'raw,confext,blockdev,retry=2',
      'tar,portable,refresh',
      'raw,machine,bootorigin',
    ),
    fc.oneof(fc.constantFrom('', 'a', 'b c', '%i', "it's", 'a"b', 'a\\', '\xc3\xa9'), text),
    fc.constantFrom('http://h/', 'file:///', 'https://h/a?'),
    fc.oneof(fc.string({unit: fc.constantFrom(...'ab%\\"\'$;#{} ~'), maxLength: 9}), text),
  )
  .map(([options, name, start, end]) => `${options}:${name}:${start}${end}`);
const commandLine = fc
  .array(fc.tuple(fc.oneof(expression, text), fc.constantFrom('"', "'", '')), {minLength: 1, maxLength: 3})
  .map((each) => each.map(([value, quote]) => `${quote}systemd.pull=${value}${quote}`).join(' '));
const credential = fc.array(fc.oneof(expression, text), {maxLength: 3}).map((lines) => lines.join('\n'));
const entry = fc.record(
  {
    url: text,
    image: text,
    type: fc.oneof(fc.constantFrom('raw', 'tar'), text),
    class: fc.oneof(fc.constantFrom('machine', 'sysext'), text),
    name: text,
    channel: text,
    verify: text,
    refresh: fc.boolean(),
    retry: fc.oneof(fc.integer(), fc.double()),
  },
  {requiredKeys: ['class']},
);
const hostile: fc.Arbitrary<Hostile> = fc.record({
  commandLine,
  credential,
  wanted: fc.oneof(
    fc.array(entry, {maxLength: 3}).map((entries) => JSON.stringify(entries)),
    text,
    fc.json(),
  ),
  efiVariable: text,
  inInitrd: fc.integer({min: 0, max: 4}).map((number) => number === 0),
});

function run(input: Hostile, form: 'imgctl' | 'varlink'): {status: number; units: Map<string, string>} {
  const units = path.join(directory, 'units');
  rmSync(units, {recursive: true});
  mkdirSync(units);
  said = [];
  writeFileSync(path.join(directory, 'import.pull'), input.credential, 'latin1');
  writeFileSync(path.join(directory, 'wanted.d/x.json'), input.wanted, 'latin1');
  const variable = 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
  writeFileSync(path.join(directory, 'efivars', variable), input.efiVariable, 'latin1');
  const boot = {
    commandLine: splitCommandLine(input.commandLine),
    credential: readCredential({plainDirectory: directory, encryptedDirectory: undefined}, log),
    wanted: readWantedFiles(path.join(directory, 'wanted.d'), log),
    inInitrd: input.inInitrd,
    efivarsDirectory: path.join(directory, 'efivars'),
  };
  const status = generate(boot, {
    directory: units,
    style: {form, is257: false},
    launcher: '/usr/bin/imgctl',
    log,
  });
  const names = readdirSync(units, {encoding: 'latin1'}).filter((name) => name !== 'imports.target.wants');
  const texts = names.map((name): [string, string] => {
    return [name, readFileSync(Buffer.from(path.join(units, name), 'latin1'), 'latin1')];
  });
  return {status, units: new Map(texts)};
}

const runs = Number(process.env.IMGCTL_FUZZ_RUNS ?? 300);

/** Every key that a unit may have, and whether it may come more than once. */
const keys: Readonly<Record<string, 'once' | 'many'>> = {
  'Unit.Description': 'once',
  'Unit.Documentation': 'once',
  'Unit.SourcePath': 'once',
  'Unit.Requires': 'once',
  'Unit.WantsMountsFor': 'once',
  'Unit.After': 'many',
  'Unit.Before': 'many',
  'Unit.Wants': 'once',
  'Unit.Conflicts': 'once',
  'Unit.DefaultDependencies': 'once',
  'Unit.SuccessAction': 'once',
  'Unit.FailureAction': 'once',
  'Unit.ConditionPathExists': 'many',
  'Unit.StartLimitIntervalSec': 'once',
  'Unit.StartLimitBurst': 'once',
  'Service.Type': 'once',
  'Service.NotifyAccess': 'once',
  'Service.Environment': 'once',
  'Service.ExecStart': 'once',
  'Service.Restart': 'once',
  'Service.RestartMode': 'once',
  'Service.RestartSec': 'once',
};

function checkUnit(name: string, text: string): void {
  expect(name).toMatch(/^systemd-import@[A-Za-z0-9:_.\\-]+\.service$/);
  const {values} = readUnitFile(text);
  for (const [key, assigned] of values) {
    expect(keys, key).toHaveProperty([key]);
    if (keys[key] === 'once') expect(assigned, key).toHaveLength(1);
  }
  const words = commandWords(values.get('Service.ExecStart')?.[0] ?? '');
  if (words[0] === 'varlinkctl') expect(JSON.parse(words.at(-1) ?? '')).toHaveProperty('remote');
  else {
    expect(words[0]).toBe('/usr/bin/imgctl');
    expect(['pull-raw', 'pull-tar', 'apply', 'import']).toContain(words[1]);
  }
}

test.each(['imgctl', 'varlink'] as const)(
  'hostile input writes no line of its own into a unit that runs %s',
  (form) => {
    let written = 0;
    fc.assert(
      fc.property(hostile, (input) => {
        const {status, units} = run(input, form);
        for (const [name, unit] of units) checkUnit(name, unit);
        written += units.size;
        // Whoever mistypes is warned; only a unit that could not be written counts.
        const isFailed = said.some((line) => /^Failed to (create|build)/.test(line));
        expect(status).toBe(isFailed ? 1 : 0);
      }),
      {numRuns: runs},
    );
    // Else nothing was looked at.
    expect(written).toBeGreaterThan(runs / 5);
  },
);

test('a credential of a mebibyte costs no more than its own lines', () => {
  const good = 'raw,machine:a:http://h/a';
  const noise = '# noise, noise\n'.repeat(70_000);
  const input = {commandLine: '', wanted: '[]', efiVariable: '', inInitrd: false};
  const {status, units} = run({...input, credential: `${noise}${good}\n`}, 'imgctl');
  expect([status, units.size]).toEqual([0, 1]);
  const oneLine = run({...input, credential: `${good}\n${'x'.repeat(1024 * 1024)}\n${good}b\n`}, 'imgctl');
  expect([oneLine.status, oneLine.units.size, said]).toEqual([
    0,
    1,
    ["Failed to parse credential 'import.pull': No buffer space available"],
  ]);
});
