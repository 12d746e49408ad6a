/** Lets the user change a text in the editor of his choice: $VISUAL, else $EDITOR, else vi. */

import {spawn} from 'node:child_process';
import {mkdtemp, open, rm, writeFile} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type {EditorOutcome} from '../actions/edit-sources.ts';
import {ImgctlError} from '../errors.ts';
import type {Environment} from './environment.ts';
import {withoutInterrupts} from './without-interrupts.ts';

const maxTextBytes = 1024 * 1024;

/** The words of the editor's setting are split at blanks; nothing of it is evaluated. */
const script = 'set -f; exec $1 "$2"';

export async function editText(
  {env}: Pick<Environment, 'env'>,
  text: string,
  fileName: string,
): Promise<EditorOutcome> {
  const directory = await mkdtemp(path.join(env.TMPDIR || os.tmpdir(), 'imgctl-edit.'));
  const file = path.join(directory, fileName);
  const discard = (): Promise<void> => rm(directory, {recursive: true, force: true});
  try {
    await writeFile(file, text, {mode: 0o600});
    const failed = await withoutInterrupts(() => runEditor(env.VISUAL || env.EDITOR || 'vi', file));
    if (failed === undefined) return {text: await readEdited(file), file, discard};
    await discard();
    return {failed};
  } catch (error) {
    await discard();
    throw error;
  }
}

/** How the editor failed; undefined when it did not. It has the terminal for itself. */
function runEditor(editor: string, file: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', script, 'sh', editor, file], {stdio: 'inherit'});
    child.on('error', reject);
    child.on('exit', (status, signal) => resolve(status === 0 ? undefined : String(status ?? signal)));
  });
}

async function readEdited(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const {size} = await handle.stat();
    if (size > maxTextBytes) {
      throw new ImgctlError('LimitExceeded', `edited text is larger than ${maxTextBytes} bytes`);
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
