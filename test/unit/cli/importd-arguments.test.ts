import {readFileSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {parseServiceArguments} from '../../../src/cli/importd/arguments.ts';
import {fixturePath} from '../../fixtures-dir.ts';

describe('the arguments of imgctl-importd', () => {
  test('say whose service it is; the system is the default', () => {
    expect(parseServiceArguments([])).toEqual({scope: 'system'});
    expect(parseServiceArguments(['--system'])).toEqual({scope: 'system'});
    expect(parseServiceArguments(['--user'])).toEqual({scope: 'user'});
  });

  test('ask what is on the bus, in the words of systemd-importd', () => {
    expect(parseServiceArguments(['--bus-introspect=list'])).toEqual({
      print: [
        '/org/freedesktop/import1\torg.freedesktop.import1.Manager\n',
        '/org/freedesktop/import1/transfer\torg.freedesktop.import1.Transfer\n',
        '/org/freedesktop/LogControl1\torg.freedesktop.LogControl1\n',
      ].join(''),
    });
    const recorded = readFileSync(fixturePath('oracle', 'golden', '262', 'bus-introspect-xml.txt'), 'utf8');
    const order = parseServiceArguments(['--bus-introspect', '/org/freedesktop/import1']);
    expect(recorded).toContain('print' in order ? order.print : expect.fail());
  });

  test.each([
    [['--bus-introspect=/foo'], 'Object path /foo not found'],
    [['word'], "Unexpected argument 'word'"],
    [['--bogus'], "Unknown option '--bogus'"],
    [['--user', '--system'], '--user and --system exclude each other'],
  ])('%j are refused by name', (words, text) => {
    expect(() => parseServiceArguments(words)).toThrow(text);
  });

  test('--help shows every option', () => {
    const order = parseServiceArguments(['-h']);
    for (const option of ['--help', '--version', '--bus-introspect', '--system', '--user'])
      expect('print' in order && order.print).toContain(option);
  });
});
