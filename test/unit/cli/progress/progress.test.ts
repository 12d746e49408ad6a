/** What stderr gets while work goes on (ux.md §6), mode by mode, with a clock that the test turns. */
import {EventEmitter} from 'node:events';
import {fstatSync} from 'node:fs';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import type {ProgressUpdate} from '../../../../src/actions/context.ts';
import type {Environment} from '../../../../src/cli/environment.ts';
import {Output} from '../../../../src/cli/output.ts';
import {chooseMode} from '../../../../src/cli/progress/mode.ts';
import {Progress} from '../../../../src/cli/progress/progress.ts';

const mebi = 2 ** 20;
const uuid = '3e6ed30f-64c7-431d-9fee-888be6361632';
const other = 'fd2cc906-8938-11e3-beab-4359c665ac99';

class Stream extends EventEmitter {
  text = '';
  columns = 100;
  rows = 24;
  isTTY = true;
  getWindowSize(): [number, number] {
    return [this.columns, this.rows];
  }
  write(text: string): boolean {
    this.text += text;
    return true;
  }
  take(): string {
    const {text} = this;
    this.text = '';
    return text;
  }
}

let stderr: Stream;
let stdout: Stream;
let output: Output;
let progress: Progress;

function open(asked: string, env: Record<string, string> = {}): void {
  stderr = new Stream();
  stdout = new Stream();
  const environment = {env: {LC_ALL: 'C.UTF-8', ...env}, stdout, stderr} as unknown as Environment;
  output = new Output(environment, {subject: 'imgctl import', quiet: false, json: false});
  progress = new Progress(output, {asked, environment, breaksSilence: true});
}

function download(doneBytes: number, more: Partial<ProgressUpdate> = {}): void {
  progress.update({uuid, title: 'base@1', phase: 'download', doneBytes, totalBytes: 100 * mebi, ...more});
}

/** Bytes come evenly, twice a second. */
function downloadFor(seconds: number, from: number, to: number): void {
  for (let step = 1; step <= seconds * 2; step += 1) {
    vi.advanceTimersByTime(500);
    download(from + ((to - from) * step) / (seconds * 2));
  }
}

beforeEach(() => void vi.useFakeTimers({toFake: ['performance', 'setInterval', 'clearInterval', 'Date']}));
afterEach(() => {
  progress.close();
  vi.useRealTimers();
});

describe('the mode', () => {
  const {dev, ino} = fstatSync(2);
  test.each([
    ['auto', {}, true, 'bar'],
    [undefined, {}, true, 'bar'],
    ['auto', {}, false, 'plain'],
    ['auto', {TERM: 'dumb'}, true, 'plain'],
    ['auto', {IMGCTL_ACCESSIBLE: '1'}, true, 'plain'],
    ['auto', {ACCESSIBLE: '1'}, true, 'plain'],
    ['auto', {ACCESSIBLE: '0'}, true, 'bar'],
    ['bar', {}, false, 'bar'],
    ['plain', {}, true, 'plain'],
    ['json', {}, true, 'json'],
    ['none', {}, true, 'none'],
    ['auto', {JOURNAL_STREAM: `${dev}:${ino}`}, true, 'plain'],
    ['auto', {JOURNAL_STREAM: `${dev}:${ino + 1}`}, true, 'bar'],
  ])('asked %j with %j, a terminal: %j, is %s', (asked, env, isTTY, mode) => {
    open('none');
    expect(chooseMode(asked, {env, stderr: {isTTY}} as unknown as Environment)).toBe(mode);
  });
});

describe('bars', () => {
  test('are drawn over each other, at most ten times a second, and taken away', () => {
    open('bar', {IMGCTL_OSC: '0'});
    download(0);
    for (let step = 1; step <= 100; step += 1) {
      vi.advanceTimersByTime(10);
      download(step * mebi * 0.5);
    }
    const drawings = stderr.take().split('\r').slice(1);
    expect(drawings.length).toBeLessThanOrEqual(10);
    expect(drawings.length).toBeGreaterThan(5);
    expect(drawings.at(-1)).toMatch(/^base@1 {2}download {2}\[=+> +\] {2}\d\d% {4}\d\d\.\d MiB/);
    progress.end(uuid, true);
    expect(stderr.take()).toBe('\r\u001b[J');
  });

  test('what is over at once leaves no trace', () => {
    open('bar');
    download(0);
    download(100 * mebi);
    progress.end(uuid, true);
    expect(stderr.take()).toBe('');
  });

  test('of several images have a line for all of them', () => {
    open('bar', {IMGCTL_OSC: '0'});
    progress.expect([
      {uuid, sizeBytes: 100 * mebi},
      {uuid: other, sizeBytes: 300 * mebi},
    ]);
    // Whichever begins first: lines stand in the order of the plan.
    progress.update({uuid: other, title: 'web@2', phase: 'download', doneBytes: 0, totalBytes: 300 * mebi});
    download(0);
    vi.advanceTimersByTime(500);
    progress.update({
      uuid: other,
      title: 'web@2',
      phase: 'download',
      doneBytes: 50 * mebi,
      totalBytes: 300 * mebi,
    });
    download(50 * mebi);
    vi.advanceTimersByTime(500);
    const shown = stderr.take().split('\u001b[J').at(-2)!.split('\n');
    expect(shown.map((line) => line.replace(/[\s]+/g, ' '))).toEqual([
      expect.stringMatching(/base@1 download \[.*\] 50% 50\.0 MiB/),
      expect.stringMatching(/web@2 download \[.*\] 16% 50\.0 MiB/),
      expect.stringMatching(/total 0 of 2 \[.*\] 25% 100\.0 MiB/),
    ]);
    progress.end(uuid, true);
    vi.advanceTimersByTime(500);
    expect(stderr.take()).toContain('1 of 2');
  });

  test('make room for other lines, and come back after them', () => {
    open('bar', {IMGCTL_OSC: '0'});
    download(0);
    downloadFor(1, 0, 10 * mebi);
    stderr.take();
    output.notice('a word');
    expect(stderr.take()).toBe('\r\u001b[Ja word\n');
    downloadFor(1, 10 * mebi, 20 * mebi);
    expect(stderr.take()).toContain('base@1  download');
  });

  test('that a narrower terminal has wrapped are gone up to their first row', () => {
    open('bar', {IMGCTL_OSC: '0'});
    download(0);
    downloadFor(3, 0, 10 * mebi);
    stderr.take();
    stderr.columns = 40;
    stderr.emit('resize');
    const [cleared, drawn = ''] = stderr.take().split('\u001b[J');
    expect(cleared).toBe('\r\u001b[2A');
    expect(drawn.length).toBeLessThan(45);
  });

  test('are taken away while the terminal is somebody else’s', () => {
    open('bar', {IMGCTL_OSC: '0'});
    download(0);
    downloadFor(1, 0, 10 * mebi);
    stderr.take();
    progress.pause();
    expect(stderr.take()).toBe('\r\u001b[J');
    downloadFor(2, 10 * mebi, 20 * mebi);
    expect(stderr.take()).toBe('');
    progress.resume();
    expect(stderr.take()).toContain('base@1  download');
  });

  test('move and tell that nothing comes, without any news', () => {
    open('bar', {IMGCTL_OSC: '0'});
    download(0);
    downloadFor(1, 0, 10 * mebi);
    vi.advanceTimersByTime(12_000);
    expect(stderr.take()).toContain('stalled 12s');
  });

  test('tell where a download goes on, once', () => {
    open('bar');
    download(61 * mebi, {resumedAtBytes: 61 * mebi});
    download(62 * mebi, {resumedAtBytes: 61 * mebi});
    expect(stderr.take()).toBe('Resumed at 61.0 MiB\n');
  });

  test('tell the task bar, and tell it when they are gone', () => {
    open('bar');
    download(0);
    downloadFor(1, 0, 42.5 * mebi);
    vi.advanceTimersByTime(500);
    expect(stderr.take()).toContain('\u001b]9;4;1;42\u001b\\');
    progress.update({uuid, title: 'base@1', phase: 'commit', doneBytes: 0, totalBytes: undefined});
    vi.advanceTimersByTime(500);
    expect(stderr.take()).toContain('\u001b]9;4;3;\u001b\\');
    progress.close();
    expect(stderr.take().endsWith('\u001b]9;4;0;\u001b\\')).toBe(true);
  });

  test.each([{IMGCTL_OSC: '0'}, {TERM: 'linux'}])('leave the task bar alone with %j', (env) => {
    open('bar', env as Record<string, string>);
    download(0);
    downloadFor(1, 0, 42 * mebi);
    progress.close();
    expect(stderr.take()).not.toContain('\u001b]9');
  });
});

describe('plain lines', () => {
  test('come at the start, at every tenth or 15 seconds whichever is rarer, and at the end', () => {
    open('plain');
    download(0);
    downloadFor(60, 0, 100 * mebi);
    progress.update({uuid, title: 'base@1', phase: 'unpack', doneBytes: 0, totalBytes: 100 * mebi});
    progress.end(uuid, true);
    expect(stderr.take().split('\n')).toEqual([
      'download   0% (853.3 KiB of 100.0 MiB)',
      'download  25% (25.8 MiB of 100.0 MiB, 1.5 MiB/s, 47s left)',
      'download  50% (50.8 MiB of 100.0 MiB, 1.5 MiB/s, 31s left)',
      'download  75% (75.8 MiB of 100.0 MiB, 1.5 MiB/s, 15s left)',
      'download 100% (100.0 MiB in 1m00s)',
      'verify ok, unpack ok',
      '',
    ]);
  });

  test('come rarely where little happens, but do come', () => {
    open('plain');
    download(0);
    downloadFor(150, 0, 3 * mebi);
    expect(stderr.take().trim().split('\n')).toHaveLength(3);
  });

  test('of what is over within a second are none', () => {
    open('plain');
    download(0);
    vi.advanceTimersByTime(900);
    download(100 * mebi);
    progress.end(uuid, true);
    expect(stderr.take()).toBe('');
  });

  test('have no control character, and name the image where there are several', () => {
    open('plain');
    progress.expect([
      {uuid, sizeBytes: 100 * mebi},
      {uuid: other, sizeBytes: undefined},
    ]);
    download(0, {title: 'b\u001b[2Jad@1'});
    vi.advanceTimersByTime(1000);
    expect(stderr.take()).toBe('b\\x1b[2Jad@1 download   0% (0 of 100.0 MiB)\n');
  });

  test('tell changes: retries, that nothing comes, where it goes on', () => {
    open('plain');
    download(50 * mebi, {resumedAtBytes: 50 * mebi});
    progress.retry(uuid, {attempt: 2, of: 5, waitMs: 3200, cause: 'connection reset by peer'});
    vi.advanceTimersByTime(12_000);
    expect(stderr.take().split('\n')).toEqual([
      'resumed at 50.0 MiB',
      'retry 2 of 5 in 4s: connection reset by peer',
      'download  50% (50.0 MiB of 100.0 MiB)',
      'download  50% (50.0 MiB of 100.0 MiB, stalled 10s)',
      '',
    ]);
  });

  test('are words for those who have them read', () => {
    open('auto', {IMGCTL_ACCESSIBLE: '1'});
    download(0);
    downloadFor(10, 0, 42 * mebi);
    downloadFor(10, 42 * mebi, 60 * mebi);
    expect(stderr.take().split('\n')).toEqual([
      'download 2 percent, 2 of 100 mebibytes',
      'download 51 percent, 51 of 100 mebibytes, about 18 seconds left',
      '',
    ]);
  });
});

describe('JSON lines', () => {
  const lines = (): Record<string, unknown>[] =>
    stderr
      .take()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));

  test('have the same keys in the same order, one a second at most, from start to end', () => {
    open('json');
    download(0, {id: 7});
    downloadFor(5, 0, 50 * mebi);
    progress.update({uuid, title: 'base@1', phase: 'unpack', doneBytes: 0, totalBytes: 100 * mebi});
    progress.end(uuid, true);
    const found = lines();
    expect(found.map(({event}) => event)).toEqual(['start', ...Array(5).fill('progress'), 'phase', 'end']);
    for (const line of found)
      expect(Object.keys(line).slice(0, 9)).toEqual([
        'ts',
        'event',
        'id',
        'uuid',
        'phase',
        'done',
        'total',
        'rate',
        'eta',
      ]);
    expect(found[0]).toMatchObject({id: 7, uuid, phase: 'download', done: 0, total: 100 * mebi, rate: null});
    expect(found[5]).toMatchObject({done: 50 * mebi, rate: 10 * mebi, eta: 5});
    expect(found.at(-1)).toMatchObject({ok: true});
  });

  test('tell retries and that nothing comes; what is not known is null', () => {
    open('json');
    download(0, {totalBytes: undefined});
    progress.retry(uuid, {attempt: 1, of: 4, waitMs: 1000, cause: 'reset'});
    vi.advanceTimersByTime(11_000);
    const [, retry, stall, ...rest] = lines();
    expect(retry).toMatchObject({
      event: 'retry',
      uuid,
      attempt: 1,
      of: 4,
      wait: 1,
      cause: 'reset',
      total: null,
    });
    expect(stall).toMatchObject({event: 'stall', uuid, seconds: 10});
    expect(rest).toEqual([]);
  });

  test('of asking the sources are no beginning and no end of an image', () => {
    open('json');
    progress.update({uuid: 'base', title: 'base', phase: 'resolve', doneBytes: 0, totalBytes: undefined});
    progress.end('base', false);
    expect(lines()).toMatchObject([{event: 'phase', uuid: null, phase: 'resolve'}]);
  });
});

test('nothing is printed with "none", but what was asked for by a signal', () => {
  open('none');
  download(0);
  downloadFor(30, 0, 50 * mebi);
  progress.retry(uuid, {attempt: 1, of: 4, waitMs: 1000, cause: 'reset'});
  vi.advanceTimersByTime(60_000);
  expect(stderr.take()).toBe('');
  progress.tellNow();
  expect(stderr.take()).toBe('base@1 download  50% (50.0 MiB of 100.0 MiB, stalled 1m00s)\n');
});

describe('silence', () => {
  test.each(['bar', 'plain'])('of ten seconds is broken while there is work (%s)', (mode) => {
    open(mode);
    progress.begin();
    vi.advanceTimersByTime(9500);
    expect(stderr.take()).toBe('');
    vi.advanceTimersByTime(1000);
    expect(stderr.take()).toBe('still working after 10s\n');
    vi.advanceTimersByTime(5000);
    output.notice('a word');
    vi.advanceTimersByTime(9000);
    expect(stderr.take()).toBe('a word\n');
  });

  test('names what has no numbers', () => {
    open('plain');
    progress.update({uuid, title: 'base@1', phase: 'commit', doneBytes: 0, totalBytes: undefined});
    vi.advanceTimersByTime(10_500);
    expect(stderr.take()).toBe('still working after 10s: base@1 commit\n');
  });

  test('is kept with -q, and where bytes move', () => {
    open('none');
    progress.begin();
    vi.advanceTimersByTime(60_000);
    expect(stderr.take()).toBe('');
  });
});

test('a signal has a line printed, whatever is going on', () => {
  open('bar');
  progress.begin();
  vi.advanceTimersByTime(3000);
  progress.tellNow();
  expect(stderr.take()).toBe('still working after 3s\n');
});
