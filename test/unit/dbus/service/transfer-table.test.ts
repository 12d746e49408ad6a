import {beforeEach, describe, expect, test} from 'vitest';
import {
  type ProcessListener,
  type TransferRequest,
  TransferTable,
} from '../../../../src/dbus/service/transfer-table.ts';

const pull: TransferRequest = {
  type: 'pull-raw',
  imageClass: 'machine',
  localName: 'x',
  remote: 'http://host/x.raw',
  verify: 'no',
  force: false,
  readOnly: false,
  keepDownload: false,
  format: '',
  descriptor: undefined,
};

describe('the table of transfers', () => {
  let processes: {listener: ProcessListener; signals: string[]}[];
  let events: unknown[];
  let table: TransferTable;

  beforeEach(() => {
    processes = [];
    events = [];
    table = new TransferTable((_request, listener) => {
      const signals: string[] = [];
      processes.push({listener, signals});
      return {kill: (signal) => void signals.push(signal)};
    });
    table.listen({
      onNew: ({path}) => events.push(['new', path]),
      onLog: ({id}, priority, line) => events.push(['log', id, priority, line]),
      onProgress: ({id}, fraction) => events.push(['progress', id, fraction]),
      onRemoved: ({id}, result) => events.push(['removed', id, result]),
    });
  });

  test('tells what a process says in its order, whole percents once, and its end', () => {
    const transfer = table.start(pull);
    expect(transfer.progress).toBe(-Number.MAX_VALUE);
    const {listener} = processes[0] ?? expect.fail();
    listener.onLog(6, 'one\n\ntwo\0three');
    for (const fraction of [0.031, 0.039, 0.29, 0.57]) listener.onProgress(fraction);
    listener.onEnd({exitCode: 0, signal: undefined});
    expect(events).toEqual([
      ['new', '/org/freedesktop/import1/transfer/_1'],
      ['log', 1, 30, 'one'],
      ['log', 1, 30, 'two'],
      ['log', 1, 30, 'three'],
      ['progress', 1, 0.03],
      ['progress', 1, 0.29],
      ['progress', 1, 0.57],
      ['removed', 1, 'done'],
    ]);
    expect(table.list()).toEqual([]);
    expect(table.start(pull).id).toBe(2);
  });

  test('cuts long lines in pieces of 2047 bytes, and no character in two', () => {
    table.start(pull);
    processes[0]?.listener.onLog(3, `${'a'.repeat(2046)}é${'b'.repeat(10)}`);
    expect(events.slice(1)).toEqual([
      ['log', 1, 27, 'a'.repeat(2046)],
      ['log', 1, 27, `é${'b'.repeat(10)}`],
    ]);
  });

  test('asks three times, then kills; the end is a cancellation unless it is a success', () => {
    const [first, second, third] = [table.start(pull), table.start(pull), table.start(pull)];
    for (let count = 0; count < 4; count += 1) table.cancel(first);
    expect(processes[0]?.signals).toEqual(['SIGTERM', 'SIGTERM', 'SIGTERM', 'SIGKILL']);
    table.cancel(second);
    processes[0]?.listener.onEnd({exitCode: undefined, signal: 'SIGKILL'});
    processes[1]?.listener.onEnd({exitCode: 0, signal: undefined});
    processes[2]?.listener.onEnd({exitCode: 1, signal: undefined});
    expect(events.slice(3)).toEqual([
      ['removed', first.id, 'canceled'],
      ['removed', second.id, 'done'],
      ['removed', third.id, 'failed'],
    ]);
  });

  test('takes 64 and no more, and uses no id for what it refuses', () => {
    for (let count = 0; count < 64; count += 1) table.start(pull);
    expect(() => table.start(pull)).toThrow(
      expect.objectContaining({errorName: 'System.Error.E2BIG', message: 'Argument list too long'}),
    );
    processes[0]?.listener.onEnd({exitCode: 0, signal: undefined});
    expect(table.start(pull).id).toBe(65);
  });

  test('refuses a second pull of one kind and URL only', () => {
    table.start(pull);
    table.checkIsNew('pull-tar', pull.remote);
    table.checkIsNew('pull-raw', `${pull.remote}2`);
    expect(() => table.checkIsNew('pull-raw', pull.remote)).toThrow(
      expect.objectContaining({
        errorName: 'org.freedesktop.import1.TransferInProgress',
        message: 'Transfer for http://host/x.raw already in progress.',
      }),
    );
  });
});
