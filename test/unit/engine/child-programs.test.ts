import {execFileSync} from 'node:child_process';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {childOptions} from '../../../src/engine/embedded/child-process.ts';

const start = path.resolve(import.meta.dirname, '../../../dist/start.cjs');

function evaluate(options: readonly string[], text: string): string {
  return execFileSync(process.execPath, [...options, '-'], {
    input: `console.log(${text})`,
    encoding: 'utf8',
  }).trim();
}

describe.each(['unpack-child', 'export-child', 'convert-child', 'stream-child'])('the %s', (name) => {
  const loaded = `require(${JSON.stringify(start)})('${name}')`;

  test('begins with what V8 made of it at build time, under the options it is started with', () => {
    expect(evaluate(childOptions, `${loaded}.script.cachedDataRejected`)).toBe('false');
  });

  test('does not load what a transfer may never need', () => {
    const late = ['child_process', 'crypto', 'zlib'];
    const text = `${loaded} && ${JSON.stringify(late)}.filter((it) => process.moduleLoadList.includes('NativeModule ' + it))`;
    expect(evaluate(childOptions, text)).toBe('[]');
  });
});
