import {expect, test} from 'vitest';
import {asInterrupted, commandLine, stoppedLines} from '../../../src/cli/interruption.ts';
import {ImgctlError} from '../../../src/errors.ts';

const signal = AbortSignal.abort('SIGTERM');
const uuid = '3e6ed30f-64c7-431d-9fee-888be6361632';

test('what is left is told in a sentence, and how to go on', () => {
  const details = {left: 'nothing was installed; 59.8 MiB of 139.0 MiB kept', uuid, text: 'base'};
  const error = new ImgctlError('Interrupted', 'x', {details});
  const shown = asInterrupted(
    error,
    signal,
    commandLine('imgctl', ['import', '-P', 'sysext', 'base'], error),
  );
  expect(stoppedLines(shown)).toBe(
    `Stopped. Nothing was installed; 59.8 MiB of 139.0 MiB kept.\n  continue with: imgctl import -P sysext ${uuid}`,
  );
  expect(shown).toMatchObject({retryable: true, details: {signal: 'SIGTERM', uuid}});
  expect(shown.message).toBe('stopped by SIGTERM; nothing was installed; 59.8 MiB of 139.0 MiB kept');
});

test('whatever a stopped run fails with, it was stopped', () => {
  const shown = asInterrupted(new TypeError('x'), signal, 'imgctl avail');
  expect(stoppedLines(shown)).toBe(
    'Stopped. Nothing is half installed; what was downloaded is kept.\n  continue with: imgctl avail',
  );
  expect(stoppedLines(new ImgctlError('NoSpace', 'full'))).toBeUndefined();
});

test('the command line can be pasted, and has no secret', () => {
  const words = ['import', '-S', 'http://me:secret@host/', "it's", '', 'a b'];
  expect(commandLine('imgctl', words, undefined)).toBe(
    "imgctl import -S 'http://***@host/' 'it'\\''s' '' 'a b'",
  );
});
