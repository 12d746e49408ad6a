import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {splitCommandLine} from '../../../src/generator/command-line.ts';
import {readCredential} from '../../../src/generator/credentials.ts';
import {generate} from '../../../src/generator/generate.ts';
import {readWantedFiles} from '../../../src/generator/wanted-files.ts';

let directory = '';
let said: string[] = [];
const log = (level: string, line: string): void => {
  said.push(`${level}: ${line}`);
};

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-generator.'));
  mkdirSync(path.join(directory, 'wanted.d'));
  mkdirSync(path.join(directory, 'units'));
  said = [];
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

interface Run {
  status: number;
  units: Record<string, string[]>;
}

function run(commandLine: string, form: 'imgctl' | 'varlink' = 'imgctl', launcher = '/usr/bin/imgctl'): Run {
  const units = path.join(directory, 'units');
  const input = {
    commandLine: splitCommandLine(commandLine),
    credential: undefined,
    wanted: readWantedFiles(path.join(directory, 'wanted.d'), log),
    inInitrd: false,
    efivarsDirectory: directory,
  };
  const status = generate(input, {directory: units, style: {form, is257: false}, launcher, log});
  const names = readdirSync(units).filter((name) => name.endsWith('.service'));
  const text = (name: string): string[] => readFileSync(path.join(units, name), 'latin1').split('\n');
  return {status, units: Object.fromEntries(names.map((name) => [name, text(name)]))};
}

function execStart(lines: readonly string[] | undefined): string | undefined {
  return lines?.find((line) => line.startsWith('ExecStart='))?.slice('ExecStart='.length);
}

describe('units that run imgctl', () => {
  test('ask for the same things and want nothing of importd', () => {
    const {units} = run('systemd.pull=raw,sysext,ro,verify=no:a:https://h/a%20b.raw');
    const lines = units['systemd-import@var-lib-extensions-a.raw.service'];
    expect(execStart(lines)).toBe(
      ':/usr/bin/imgctl pull-raw --class=sysext --verify=no --keep-download=no --read-only -- https://h/a%%20b.raw a',
    );
    expect(lines?.join('\n')).not.toMatch(/importd|varlink|NotifyAccess/);
    expect(lines).toContain('After=imports-pre.target');
    expect(lines).toContain(
      'WantsMountsFor=/var/lib/extensions /var/cache/imgctl /var/lib/imgctl /usr/bin/imgctl',
    );
  });

  test('quote what systemd would take apart', () => {
    const {units} = run(`systemd.pull='tar,machine:a b"c:http://h/x'`, 'imgctl', '/opt/my tools/imgctl');
    const [lines] = Object.values(units);
    expect(execStart(lines)).toBe(
      ':"/opt/my tools/imgctl" pull-tar --class=machine --verify=signature --keep-download=no -- http://h/x "a b\\"c"',
    );
  });

  test('say a name exactly, though pull commands take suffixes off', () => {
    const {units} = run(
      'systemd.pull=raw,machine:d.raw:http://h/x systemd.pull=tar,machine:d.tar:http://h/x',
    );
    const commands = Object.values(units).map(execStart).sort();
    expect(commands).toEqual([
      ':/usr/bin/imgctl apply --pull raw,machine,rw,verify=signature,runtime=no:d.raw:http://h/x',
      ':/usr/bin/imgctl pull-tar --class=machine --verify=signature --keep-download=no -- http://h/x d.tar.tar',
    ]);
  });

  test('put images that go with the boot below /run', () => {
    const {units} = run('systemd.pull=raw,confext,runtime=yes:c:http://h/x');
    expect(units['systemd-import@run-confexts-c.raw.service']).toContain(
      'Environment=IMGCTL_IMAGE_ROOT=/run',
    );
  });
});

describe('options of ours', () => {
  test('skip-if-present looks for every form of the name', () => {
    const {units} = run('systemd.pull=raw,sysext,skip-if-present:a%:http://h/x', 'varlink');
    const [lines] = Object.values(units);
    const conditions = lines?.filter((line) => line.startsWith('ConditionPathExists=')) ?? [];
    expect(conditions).toContain('ConditionPathExists=!/var/lib/extensions/a%%');
    expect(conditions).toContain('ConditionPathExists=!/var/lib/extensions/a%%.raw');
    expect(conditions).toContain('ConditionPathExists=!/var/lib/extensions/a%%.sysext.raw.v');
  });

  test('retry= limits the attempts', () => {
    const {units} = run('systemd.pull=raw,machine,retry=3:a:http://h/x');
    const [lines] = Object.values(units);
    expect(lines).toContain('StartLimitBurst=4');
    expect(lines).toContain('Restart=on-failure');
  });

  test('digest= is checked by imgctl, also in the form that asks importd', () => {
    const digest = 'A'.repeat(64);
    const {units} = run(`systemd.pull=raw,machine,digest=${digest}:a:http://h/x`, 'varlink');
    expect(execStart(Object.values(units)[0])).toContain(`--verify=${digest.toLowerCase()} `);
  });

  test('a digest that is none is refused, never left out', () => {
    const {units, status} = run('systemd.pull=raw,machine,digest=abc:a:http://h/x');
    expect([Object.keys(units), status]).toEqual([[], 0]);
    expect(said[0]).toBe('error: Not a valid SHA-256 digest, refusing: abc');
  });
});

describe('what systemd gets wrong', () => {
  test('the type oci costs only its own expression', () => {
    const {units, status} = run(
      'systemd.pull=oci,machine:a:http://h/x systemd.pull=raw,machine:b:http://h/x',
    );
    expect(Object.keys(units)).toEqual(['systemd-import@var-lib-machines-b.raw.service']);
    expect(status).toBe(0);
    expect(said[0]).toMatch(/^error: No image type \(raw, tar\) specified/);
  });

  test('a backslash at the end of a line does not append the next one', () => {
    const {units} = run('systemd.pull=raw,machine:a:http://h/x\\ systemd.pull=raw,machine:b:http://h/x\\\\');
    const lines = Object.values(units).map((each) => each.find((line) => line.startsWith('Description=')));
    expect(lines.sort()).toEqual([
      'Description=Download of http://h/x\\ ',
      'Description=Download of http://h/x\\\\',
    ]);
  });

  test('control characters write no lines into units', () => {
    const {units} = run(
      'systemd.pull=raw,machine:a:"http://h/x\nExecStart=/bin/sh" systemd.pull.success_action="a\nb" systemd.pull=raw,machine:b:http://h/x',
    );
    expect(Object.keys(units)).toEqual(['systemd-import@var-lib-machines-b.raw.service']);
    expect(Object.values(units)[0]?.join('\n')).not.toContain('SuccessAction');
    expect(said.filter((line) => /refusing|ignoring/.test(line))).toHaveLength(3);
  });

  test('an image that two ask for is reported, and the others come', () => {
    const {units, status} = run(
      'systemd.pull=raw,machine:a:http://h/x systemd.pull=raw,machine:a:http://h/y systemd.pull=raw,machine:b:http://h/x',
    );
    expect(status).toBe(1);
    expect(said.join('\n')).toMatch(/Failed to create unit file '.*a\.raw\.service': File exists/);
    expect(Object.keys(units)).toHaveLength(2);
  });
});

describe('files of wanted.d', () => {
  const put = (name: string, value: unknown): void => {
    writeFileSync(path.join(directory, 'wanted.d', name), JSON.stringify(value));
  };

  test('make units as the command line does, and say where they come from', () => {
    put('a.json', {url: 'http://h/a.raw.xz', type: 'raw', class: 'machine', verify: 'no'});
    const [lines] = Object.values(run('').units);
    expect(lines).toContain(`SourcePath=${directory}/wanted.d/a.json`);
    expect(execStart(lines)).toContain(
      'pull-raw --class=machine --verify=no --keep-download=no -- http://h/a.raw.xz a',
    );
  });

  test('may want images of the sources', () => {
    put('a.json', [{image: '01b2c898-945f-11e1-a523-af1afbe22822', class: 'machine', channel: 'dev'}]);
    expect(execStart(Object.values(run('', 'varlink').units)[0])).toBe(
      ':/usr/bin/imgctl import --pool=machine --channel=dev 01b2c898-945f-11e1-a523-af1afbe22822',
    );
  });

  test.each([
    [
      'a control character in any field',
      {url: 'http://h/a\nExecStart=x', type: 'raw', class: 'machine'},
      'control character',
    ],
    [
      'a control character in a name',
      {url: 'http://h/a', type: 'raw', class: 'machine', name: 'a\u007f'},
      'control character',
    ],
    [
      'an unknown field',
      {url: 'http://h/a', type: 'raw', class: 'machine', forse: true},
      'unknown field "forse"',
    ],
    [
      'a field of another kind',
      {url: 'http://h/a', type: 'raw', class: 'machine', refresh: 'yes'},
      '"refresh" must be a boolean',
    ],
    ['no class', {url: 'http://h/a', type: 'raw'}, '"class" must be'],
    ['neither image nor URL', {class: 'machine'}, 'neither "image" nor "url"'],
    ['both', {image: 'x', url: 'http://h/a', class: 'machine'}, '"url" is for entries'],
    ['an image that would be an option', {image: '--force', class: 'machine'}, 'not the name of an image'],
    ['__proto__', JSON.parse('{"__proto__": 1, "class": "machine"}'), 'unknown field "__proto__"'],
    ['a name that does not follow', {url: 'http://h/..', type: 'tar', class: 'machine'}, 'no name follows'],
  ])('an entry with %s is refused, the next one counts', (_what, entry, problem) => {
    put('a.json', [entry, {url: 'http://h/good', type: 'tar', class: 'machine'}]);
    const {units, status} = run('');
    expect(Object.keys(units)).toEqual(['systemd-import@var-lib-machines-good.service']);
    expect(status).toBe(0);
    expect(said.join('\n')).toContain(problem);
  });

  test('a file that is no JSON is left out', () => {
    writeFileSync(path.join(directory, 'wanted.d/a.json'), '{');
    put('b.json', {url: 'http://h/good', type: 'tar', class: 'machine'});
    expect(Object.keys(run('').units)).toHaveLength(1);
    expect(said[0]).toMatch(/^error: Failed to read ".*a\.json", ignoring: /);
  });
});

describe('the credential', () => {
  test('is read in the clear before an encrypted one is looked for', () => {
    writeFileSync(path.join(directory, 'import.pull'), 'x');
    expect(readCredential({plainDirectory: directory, encryptedDirectory: '/nonexistent'}, log)).toBe('x');
  });

  test('is not looked for below a relative path', () => {
    const places = {plainDirectory: path.relative('.', directory), encryptedDirectory: undefined};
    expect(readCredential(places, log)).toBeUndefined();
    expect(said).toEqual(["error: Failed to read unencrypted credential 'import.pull': Invalid argument"]);
  });

  test('that cannot be decrypted is reported', () => {
    writeFileSync(path.join(directory, 'import.pull'), 'not encrypted at all');
    chmodSync(path.join(directory, 'import.pull'), 0o600);
    const text = readCredential({plainDirectory: undefined, encryptedDirectory: directory}, log);
    expect(text).toBeUndefined();
    expect(said).toHaveLength(1);
  });
});

test('writes nothing but into its directory', () => {
  run('systemd.pull=raw,machine,blockdev:a:http://h/x');
  expect(readdirSync(directory).sort()).toEqual(['units', 'wanted.d']);
  expect(existsSync(path.join(directory, 'units/imports.target.wants'))).toBe(true);
});
