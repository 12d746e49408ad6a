/** What actions tell, as lines and bars. */

import type {ActionContext} from '../actions/context.ts';
import type {Output} from './output.ts';
import type {Progress} from './progress.ts';

export function actionReporter(output: Output, progress: Progress): ActionContext['report'] {
  return {
    step: (line) => output.step(line),
    transferStep: (line) => output.step(line, {onStderr: progress.isBar}),
    notice: (line) => output.notice(line),
    warn: (text) => output.warn(text),
    progress: (update) => progress.update(update),
    progressEnd: (uuid) => progress.end(uuid),
  };
}
