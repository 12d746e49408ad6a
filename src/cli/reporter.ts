/** What actions tell, as lines and bars. */

import type {ActionContext} from '../actions/context.ts';
import type {ContextFlags, ProgramName} from './context-flags.ts';
import type {Environment} from './environment.ts';
import {levels} from './line-levels.ts';
import type {Output} from './output.ts';
import {Progress} from './progress/progress.ts';
import {errorLines} from './report-error.ts';

interface ProgressOrder {
  program: ProgramName;
  environment: Environment;
  flags: ContextFlags;
  output: Output;
}

/** The progress of one run; `-q` is no progress at all. */
export function openProgress({flags, environment, output, program}: ProgressOrder): Progress {
  return new Progress(output, {
    asked: flags.quiet ? 'none' : (flags.progress ?? environment.env.IMGCTL_PROGRESS),
    environment,
    breaksSilence: program === 'imgctl',
  });
}

export function actionReporter(output: Output, progress: Progress): ActionContext['report'] {
  return {
    step: (line) => output.step(line),
    transferStep: (line) => output.step(line, {onStderr: progress.isBar}),
    notice: (line) => output.notice(line),
    warn: (text) => output.warn(text),
    failure: (error) => output.line(errorLines(error, output.subject), levels.error),
    expect: (images) => progress.expect(images),
    progress: (update) => progress.update(update),
    retry: (uuid, retry) => progress.retry(uuid, retry),
    progressEnd: (uuid, isDone) => progress.end(uuid, isDone),
  };
}
