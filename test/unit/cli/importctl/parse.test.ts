import {describe, expect, test} from 'vitest';
import {parseImportctl} from '../../../../src/cli/importctl/parse.ts';

const digest = 'AB'.repeat(32);

function refusal(...argv: string[]): string {
  try {
    parseImportctl(argv, 'importctl');
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

describe('options of importctl', () => {
  test('stand anywhere, and of several the last counts', () => {
    const {settings, words} = parseImportctl(
      ['-P', 'pull-raw', '-m', 'URL', '--keep-download=yes', '-N', 'NAME', '--verify', 'checksum'],
      'importctl',
    );
    expect(words).toEqual(['pull-raw', 'URL', 'NAME']);
    expect(settings).toMatchObject({imageClass: 'machine', keepDownload: false, verify: 'checksum'});
  });

  test('may be abbreviated and joined, and end with --', () => {
    const {settings, words} = parseImportctl(['-mqN', '--forc', '--no-l', '--', '--force', '-'], 'importctl');
    expect(settings).toMatchObject({
      imageClass: 'machine',
      quiet: true,
      keepDownload: false,
      force: true,
      legend: false,
    });
    expect(words).toEqual(['--force', '-']);
  });

  test.each([
    ['YES', true],
    ['on', true],
    ['t', true],
    ['Off', false],
    ['0', false],
    ['n', false],
  ])('--keep-download=%s is %s', (word, value) => {
    expect(parseImportctl([`--keep-download=${word}`], 'importctl').settings.keepDownload).toBe(value);
  });

  test('take a digest for --verify', () => {
    expect(parseImportctl([`--verify=${digest}`], 'importctl').settings.verify).toEqual({
      sha256: digest.toLowerCase(),
    });
  });

  test('of JSON take the legend away', () => {
    expect(parseImportctl(['-j'], 'importctl').settings).toMatchObject({json: 'auto', legend: false});
    expect(parseImportctl(['--json=off'], 'importctl').settings).toMatchObject({json: 'off', legend: true});
  });

  test.each([
    [['--verify=x'], 'Failed to parse --verify= setting: x'],
    [['--format=zst'], 'Unknown format: zst'],
    [['--class=x'], 'Failed to parse --class= parameter: x'],
    [['--keep-download=x'], 'Failed to parse --keep-download= value: x'],
    [['--json=x'], 'Unknown argument to --json= switch: x'],
    [['--force=yes'], "importctl: option '--force' doesn't allow an argument"],
    [['--verify'], "importctl: option '--verify' requires an argument"],
    [['-x'], "importctl: invalid option -- 'x'"],
    [['-M'], "importctl: option requires an argument -- 'M'"],
    [
      ['--no'],
      "importctl: option '--no' is ambiguous; possibilities: '--no-legend' '--no-pager' '--no-ask-password'",
    ],
  ])('%j are refused in its words', (argv, text) => {
    expect(refusal(...argv)).toBe(text);
  });

  test('of imgctl are known under its name only', () => {
    expect(parseImportctl(['--root=/x'], 'imgctl').globals).toEqual({root: '/x'});
    expect(refusal('--root=/x')).toBe("importctl: unrecognized option '--root=/x'".replace('=/x', ''));
  });
});
