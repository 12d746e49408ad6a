/** What actions tell, as lines and bars. */

import type {ActionContext} from '../actions/context.ts';
import type {ContextFlags, ProgramName} from './context-flags.ts';
import type {Environment} from './environment.ts';
import type {Output} from './output.ts';
import type {Progress} from './progress.ts';
import {errorLines} from './report-error.ts';

export function actionReporter(output: Output, progress: Progress): ActionContext['report'] {
  return {
    step: (line) => output.step(line),
    transferStep: (line) => output.step(line, {onStderr: progress.isBar}),
    notice: (line) => output.notice(line),
    warn: (text) => output.warn(text),
    failure: (error) => output.errorLines(errorLines(error, output.subject)),
    progress: (update) => progress.update(update),
    retry: (uuid, retry) => progress.retry(uuid, retry),
    progressEnd: (uuid, isDone) => progress.end(uuid, isDone),
  };
}
