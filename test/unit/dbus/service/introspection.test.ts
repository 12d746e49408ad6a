import {readFileSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {managerInterface, transferInterface} from '../../../../src/dbus/service/interfaces.ts';
import {introspectionXml} from '../../../../src/dbus/service/introspection.ts';
import {fixturePath} from '../../../fixtures-dir.ts';

/** The XML in a capture of importd 262, without what other programs printed behind it. */
function recorded(name: string): string {
  const text = readFileSync(fixturePath('oracle', 'golden', '262', name), 'utf8');
  const start = text.indexOf('<!DOCTYPE');
  return text.slice(start, text.indexOf('</node>', start) + '</node>\n'.length);
}

describe('introspection data', () => {
  test("of the manager is importd's, letter by letter", () => {
    expect(introspectionXml([managerInterface], ['transfer'])).toBe(recorded('bus-introspect-xml.txt'));
  });

  test("of a transfer is importd's, letter by letter", () => {
    expect(introspectionXml([transferInterface], [])).toBe(recorded('bus-introspect-transfer-xml.txt'));
  });
});
