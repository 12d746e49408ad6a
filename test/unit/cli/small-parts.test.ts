import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {readConfiguration, writeConfiguration} from '../../../src/cli/config.ts';
import {formatDuration, parseDuration} from '../../../src/cli/durations.ts';
import {exitStatusOf} from '../../../src/cli/exit-codes.ts';
import {splitGlobals} from '../../../src/cli/global-flags.ts';
import {packageVersion} from '../../../src/cli/package-root.ts';
import {statePaths} from '../../../src/cli/paths.ts';
import {errorReport} from '../../../src/cli/report-error.ts';
import {type ErrorCode, ImgctlError, MultiError, ServerError} from '../../../src/errors.ts';

describe('durations', () => {
  test.each([
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['24d', 2_073_600_000],
    ['250ms', 250],
    ['30', 30_000],
    ['0', 0],
  ])('%s is read', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each(['', 's', '5x', '-5s', '1.5s', '5 s', '5s3', ' 5s', '9'.repeat(400), '25d'])(
    '%j is refused',
    (text) => {
      expect(() => parseDuration(text)).toThrow(expect.objectContaining({code: 'Usage'}));
    },
  );

  test.each([
    [-1, '0s'],
    [0.4, '0s'],
    [59.6, '1m00s'],
    [192, '3m12s'],
    [3599, '59m59s'],
    [3600, '1h00m'],
    [3900, '1h05m'],
    [360_000, '100h00m'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('global options', () => {
  test.each([
    [['-v', 'list', '-v'], {verbose: true}, ['list', '-v']],
    [['-qE', 'import', 'x'], {quiet: true, 'json-error': true}, ['import', 'x']],
    [['--root', '/r', '--root=/s', 'list'], {root: '/s'}, ['list']],
    [['--root=a=b', 'list'], {root: 'a=b'}, ['list']],
    [['--', '-v'], {}, ['--', '-v']],
    [['-', 'x'], {}, ['-', 'x']],
    [[], {}, []],
  ])('%j', (argv, globals, rest) => {
    expect(splitGlobals(argv)).toMatchObject({globals, version: false, rest});
  });

  test.each([
    [['--nope'], 'UnknownOption', 'unknown option: "--nope"'],
    [['--nope=1'], 'UnknownOption', expect.stringContaining('unknown option: "--nope')],
    [['-vx'], 'UnknownOption', 'unknown option: "-x"'],
    [['--root'], 'Option', 'do not have enough args for "--root" option'],
    [['--progress', 'loud'], 'Usage', expect.stringContaining('invalid --progress "loud"')],
    [['--constructor'], 'UnknownOption', 'unknown option: "--constructor"'],
    [['--__proto__', 'x'], 'UnknownOption', 'unknown option: "--__proto__"'],
  ])('%j are refused', (argv, code, message) => {
    expect(() => splitGlobals(argv)).toThrow(expect.objectContaining({code, message}));
  });

  test('--version counts wherever it stands before the command', () => {
    expect(splitGlobals(['-v', '--version', 'list']).version).toBe(true);
    expect(splitGlobals(['list', '--version']).version).toBe(false);
  });
});

describe('exit statuses', () => {
  test.each([
    ['Usage', 2],
    ['UnknownCommand', 2],
    ['UnknownOption', 2],
    ['ImageNotInstalled', 3],
    ['OriginNotInstalled', 3],
    ['PartlyDone', 4],
    ['Interrupted', 130],
    ['DownloadError', 1],
    ['NoSpace', 1],
  ] as const)('%s is %i', (code, status) => {
    expect(exitStatusOf(new ImgctlError(code, ''))).toBe(status);
  });

  test('SIGTERM has its own; what nobody foresaw, several errors and words of a server are 1', () => {
    expect(exitStatusOf(new ImgctlError('Interrupted', '', {details: {signal: 'SIGTERM'}}))).toBe(143);
    expect(exitStatusOf(new Error('x'))).toBe(1);
    expect(exitStatusOf('text')).toBe(1);
    expect(exitStatusOf(new MultiError([new ImgctlError('Usage', '')]))).toBe(1);
    for (const serverCode of ['Usage', 'constructor', '__proto__']) {
      const error = new ServerError('x', {serverCode, statusCode: 400});
      expect(exitStatusOf(error)).toBe(1);
    }
  });
});

describe('an error report', () => {
  const options = {program: 'imgctl', command: 'list', asJson: false, withStack: false, requestId: 'r1'};
  const code: ErrorCode = 'DownloadError';

  test('says command, code, message, what was tried, the cause if it says more, and a hint', () => {
    const error = new ImgctlError(code, 'no', {
      cause: new Error('because\nof this'),
      hint: 'try again',
      details: {tried: ['a', 'b']},
    });
    expect(errorReport(error, options).split('\n')).toEqual([
      'imgctl list: error (DownloadError): no',
      '  tried: a, b',
      '  cause: because',
      '  hint: try again',
    ]);
    const same = new ImgctlError(code, 'no: because', {cause: new Error('because')});
    expect(errorReport(same, {...options, command: undefined})).toBe(
      'imgctl: error (DownloadError): no: because',
    );
  });

  test('shows control characters of others as text', () => {
    const error = new ServerError('bad\u001b[2J', {
      serverCode: 'X\u001b[2J',
      statusCode: 422,
      items: [{field: 'na\u0007me', code: 'Invalid', message: 'a\rb'}],
    });
    const text = errorReport(error, options);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    expect(text).toContain('    na\\x07me: Invalid: a\\x0db');
  });

  test('as JSON is one line with the facts a program needs', () => {
    const error = new ImgctlError('ImageNotInstalled', 'two\nlines', {
      hint: 'h',
      details: {a: 1},
      retryable: true,
    });
    const text = errorReport(error, {...options, asJson: true});
    expect(text).not.toContain('\n');
    expect(JSON.parse(text)).toMatchObject({
      name: 'imgctl',
      req_id: 'r1',
      level: 50,
      msg: 'two\nlines',
      err: {code: 'ImageNotInstalled', exitStatus: 3, retryable: true, hints: ['h'], details: {a: 1}},
    });
  });

  test('of what nobody foresaw is an InternalError with version and what to do, its trace with -v only', () => {
    const fault = `  hint: this is a fault of imgctl ${packageVersion()}: report it, with what -v prints, where you got imgctl from`;
    expect(errorReport(new TypeError('x is not y'), options)).toBe(
      `imgctl list: error (InternalError): x is not y\n${fault}`,
    );
    expect(errorReport('just a text', options)).toBe(
      `imgctl list: error (InternalError): just a text\n${fault}`,
    );
    const failed = (code: string) => Object.assign(new Error(`${code}: write`), {code, syscall: 'write'});
    expect(errorReport(failed('ENOSPC'), options)).toBe('imgctl list: error (NoSpace): ENOSPC: write');
    expect(errorReport(failed('EIO'), options)).toBe('imgctl list: error (FileSystem): EIO: write');
  });
});

describe('the configuration', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-config-'));
    file = path.join(directory, 'etc/config.json');
  });
  afterEach(() => rmSync(directory, {recursive: true, force: true}));

  test('is empty when there is no file, and keeps what it does not know', async () => {
    expect(await readConfiguration(file)).toEqual({});
    mkdirSync(path.dirname(file));
    const known = {sources: [{url: 'http://x', later: 1}], future: {a: [1]}};
    writeFileSync(file, JSON.stringify(known));
    const configuration = await readConfiguration(file);
    await writeConfiguration(file, {...configuration, userAgentExtra: 'x'});
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      sources: [{url: 'http://x', type: 'imgapi', later: 1}],
      future: {a: [1]},
      userAgentExtra: 'x',
    });
    expect(readdirSync(path.dirname(file))).toEqual(['config.json']);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  test.each([
    ['{"sources":', 'config file FILE is not valid JSON'],
    ['', 'config file FILE is not valid JSON'],
    ['[]', 'config file FILE is not valid: the whole must be object'],
    ['{"sources": {}}', 'config file FILE is not valid: sources must be array'],
    ['{"sources": [{"url": 7}]}', '"sources.0.url" in config file FILE is not a string'],
    ['{"userAgentExtra": 3}', '"userAgentExtra" in config file FILE is not a string'],
    ['{"sources": [{"url": "x", "type": "ftp"}]}', 'config file FILE is not valid: sources.0.type'],
    ['{"pools": {"a/b": {"class": "machine", "directory": "/x"}}}', 'config file FILE is not valid: pools'],
    ['{"pools": {"a": {"class": "machine", "directory": "x"}}}', 'is not valid: pools.a.directory'],
    ['{"limits": {"cacheBytes": -1}}', 'config file FILE is not valid: limits.cacheBytes'],
  ])('%s is an error that names the file', async (text, problem) => {
    mkdirSync(path.dirname(file));
    writeFileSync(file, text);
    await expect(readConfiguration(file)).rejects.toMatchObject({
      code: 'ConfigError',
      message: expect.stringContaining(problem.replace('FILE', `"${file}"`)),
    });
  });

  test('that cannot be read or written is an error that names the file', async () => {
    mkdirSync(file, {recursive: true});
    await expect(readConfiguration(file)).rejects.toMatchObject({
      code: 'ConfigError',
      message: expect.stringContaining(`cannot read config file "${file}": `),
    });
    writeFileSync(path.join(file, 'in the way'), '');
    await expect(writeConfiguration(file, {})).rejects.toMatchObject({code: 'ConfigError'});
    expect(readdirSync(path.dirname(file))).toEqual(['config.json']);
  });
});

describe('paths', () => {
  const user = {uid: 1000, homeDirectory: '/home/u', root: undefined};

  test('are those of the system for root, and below --root for everybody', () => {
    const system = statePaths({env: {XDG_DATA_HOME: '/x'}, uid: 0, homeDirectory: '/root', root: undefined});
    expect(system).toMatchObject({
      catalogFile: '/var/lib/imgctl/catalog.db',
      recordsDirectory: '/var/lib/imgctl/records',
      cacheDirectory: '/var/cache/imgctl',
      runtimeDirectory: '/run/imgctl',
      configFile: '/etc/imgctl/config.json',
    });
    expect(system.imageDirectory('sysext')).toBe('/var/lib/extensions');
    const below = statePaths({...user, env: {}, root: '/r/../s'});
    expect([below.catalogFile, below.imageDirectory('portable')]).toEqual([
      '/s/var/lib/imgctl/catalog.db',
      '/s/var/lib/portables',
    ]);
  });

  test('of a user follow the XDG variables, absolute ones only', () => {
    const plain = statePaths({...user, env: {XDG_DATA_HOME: 'relative', XDG_CACHE_HOME: ''}});
    expect(plain).toMatchObject({
      catalogFile: '/home/u/.local/share/imgctl/catalog.db',
      recordsDirectory: '/home/u/.local/share/imgctl/records',
      cacheDirectory: '/home/u/.cache/imgctl',
      runtimeDirectory: '/home/u/.cache/imgctl/run',
      configFile: '/home/u/.config/imgctl/config.json',
    });
    expect(plain.imageDirectory('machine')).toBe('/home/u/.local/state/machines');
    const env = {
      XDG_DATA_HOME: '/d',
      XDG_CACHE_HOME: '/c',
      XDG_RUNTIME_DIR: '/run/user/1000',
      XDG_STATE_HOME: '/s',
    };
    const set = statePaths({...user, env: {...env, XDG_CONFIG_HOME: '/e'}});
    expect([set.catalogFile, set.cacheDirectory, set.runtimeDirectory, set.configFile]).toEqual([
      '/d/imgctl/catalog.db',
      '/c/imgctl',
      '/run/user/1000/imgctl',
      '/e/imgctl/config.json',
    ]);
    expect(set.imageDirectory('confext')).toBe('/s/confexts');
    expect(statePaths({...user, env: {XDG_RUNTIME_DIR: 'run'}}).runtimeDirectory).toBe(
      '/home/u/.cache/imgctl/run',
    );
  });
});
