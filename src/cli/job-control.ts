/**
 * Signals that do not end a run (ux.md §11): Ctrl-Z takes away what is drawn before the shell gets the terminal back,
 * SIGCONT draws it anew, and SIGUSR1 has a line printed, as dd does.
 */

import type {Progress} from './progress/progress.ts';

/** Call what it returns when the run is over. */
export function watchJobControl(progress: Progress): () => void {
  const onStop = (): void => {
    progress.pause();
    // By the signal's own way, so that the shell sees what it expects.
    process.off('SIGTSTP', onStop);
    process.kill(process.pid, 'SIGTSTP');
  };
  const onContinue = (): void => {
    if (!process.listeners('SIGTSTP').includes(onStop)) process.on('SIGTSTP', onStop);
    progress.resume();
  };
  const onUser = (): void => progress.tellNow();
  if (progress.isBar) process.on('SIGTSTP', onStop).on('SIGCONT', onContinue);
  process.on('SIGUSR1', onUser);
  return () => {
    process.off('SIGTSTP', onStop).off('SIGCONT', onContinue).off('SIGUSR1', onUser);
  };
}
