import {createRequire} from 'node:module';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {MessageGate} from '../../../src/dbus/message-gate.ts';
import {type RawBody, readPlainValues} from '../../../src/dbus/plain-values.ts';

/** The library's own, which have no types. */
const require = createRequire(import.meta.url);
const marshallBody: (signature: string, values: unknown[]) => Buffer = require('dbus-native/lib/marshall.js');
const {marshall}: {marshall(message: object): Buffer} = require('dbus-native/lib/message.js');

function raw(signature: string, values: unknown[]): RawBody {
  return {bytes: marshallBody(signature, values), isLittle: true};
}

describe('plain values', () => {
  test('of every type are read as they were sent', () => {
    const values = [1, true, -2, 3, -4, 5, 6, -7n, 2n ** 64n - 1n, 0.5, 'ä', '/a/b', 'a{sv}'];
    expect(readPlainValues(raw('ybnqiuhxtdsog', values), 'ybnqiuhxtdsog', 'wrap')).toEqual(values);
    const bigEndian = {bytes: Buffer.from('000000017800000000000005', 'hex'), isLittle: false};
    expect(
      readPlainValues(
        {...bigEndian, bytes: Buffer.from('0000000178000000' + '00000005', 'hex')},
        'su',
        'wrap',
      ),
    ).toEqual(['x', 5]);
  });

  test('variants are told with their type or without; containers in them are not read', () => {
    const body = raw('sv', ['x', ['u', 5]]);
    expect(readPlainValues(body, 'sv', 'wrap')).toEqual(['x', {signature: 'u', value: 5}]);
    expect(readPlainValues(body, 'sv', 'plain')).toEqual(['x', 5]);
    expect(readPlainValues(raw('v', [['as', ['a', 'b']]]), 'v', 'wrap')).toEqual([
      {signature: 'as', value: undefined},
    ]);
    expect(readPlainValues(raw('as', [['a']]), 'as', 'wrap')).toEqual([]);
  });

  test.each([
    ['a text that is longer than the body', 's', 'ff00000061626300'],
    ['a text of no end', 's', 'ffffffff61626300'],
    ['a text without its NUL', 's', '0300000061626364'],
    ['a NUL in a text', 's', '0300000061006300'],
    ['bytes that are no UTF-8', 's', '03000000ff61fe00'],
    ['a boolean that is neither', 'b', '02000000'],
    ['bytes behind the last value', 'u', '0100000000000000'],
    ['no body', 'u', ''],
  ])('%s is refused', (_what, signature, hex) => {
    const body = {bytes: Buffer.from(hex, 'hex'), isLittle: true};
    expect(() => readPlainValues(body, signature, 'wrap')).toThrow('Invalid message body');
  });
});

describe('the gate of a connection', () => {
  const long = {
    type: 1,
    serial: 3,
    path: '/a',
    member: 'Long',
    sender: ':1.2',
    signature: 's',
    body: ['x'.repeat(900)],
  };
  const messages = [
    {type: 1, serial: 1, path: '/a', member: 'Call', sender: ':1.2', signature: 'su', body: ['x', 1]},
    {type: 2, serial: 2, replySerial: 1, sender: ':1.3', signature: 'as', body: [['reply']]},
    long,
    {...long, serial: 4, path: `/${'p'.repeat(1500)}`, member: 'LongPath'},
    {
      type: 4,
      serial: 5,
      path: '/a',
      interface: 'a.b',
      member: 'Signal',
      sender: ':1.2',
      signature: 'u',
      body: [5],
    },
  ].map((one) => marshall(one));
  const stream = Buffer.concat(messages);

  /** What passes when the stream arrives in such pieces, and the bodies kept back. */
  function pass(sizes: readonly number[]): {bytes: Buffer; bodies: string[]} {
    const gate = new MessageGate(800);
    const passed: Buffer[] = [];
    let at = 0;
    for (let turn = 0; at < stream.length; turn += 1) {
      const size = sizes[turn % sizes.length] ?? 1;
      passed.push(gate.take(Buffer.from(stream.subarray(at, at + size))));
      at += size;
    }
    return {
      bytes: Buffer.concat(passed),
      bodies: Array.from({length: 4}, () => gate.takeBody().bytes.toString('hex')),
    };
  }

  test('lets replies pass, keeps bodies of calls back, and cuts what is too long', () => {
    const {bytes, bodies} = pass([stream.length]);
    expect(bodies).toEqual(['010000007800000001000000', '', '', '05000000']);
    expect(bytes.includes(messages[1] ?? '')).toBe(true);
    expect(bytes.includes('xxxx')).toBe(false);
    expect(bytes.includes('pppp')).toBe(false);
    expect(bytes.includes('LongPath')).toBe(true);
  });

  test('does so however the bytes are split', () => {
    const whole = pass([stream.length]);
    fc.assert(
      fc.property(fc.array(fc.integer({min: 1, max: 700}), {minLength: 1, maxLength: 9}), (sizes) => {
        expect(pass(sizes)).toEqual(whole);
      }),
      {seed: 5, numRuns: 100},
    );
  });
});
