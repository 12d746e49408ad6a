/** Runs zfs(8) with an argument list; names in it were checked by `dataset-names.ts`, so that none is taken for an option. */
import {type ErrorCode, errnoOf, ImgctlError} from '../../errors.ts';
import {type ProcessEnd, type RunningProcess, type RunOptions, startProcess} from '../../sys/run.ts';

const maxOutputBytes = 64 * 1024 * 1024;

/** Words of libzfs, by what they mean to the caller; the rest is an `InternalError`. */
const meanings: readonly [words: RegExp, code: ErrorCode][] = [
  [/permission denied/i, 'NotAuthorized'],
  [/out of space|no space left|quota exceeded/i, 'NoSpace'],
  [/dataset is busy|pool or dataset is busy/i, 'ImageInUse'],
  [/has dependent clones/i, 'ImageHasDependentClones'],
  [/dataset already exists|destination .* exists/i, 'ImageAlreadyExists'],
];

/** Its standard output. `attempted` begins the message of a failure. */
export async function runZfs(
  list: readonly string[],
  attempted: string,
  signal?: AbortSignal,
): Promise<string> {
  const child = startZfs(list, {stdout: 'pipe', ...(signal && {signal})});
  const parts: Buffer[] = [];
  let size = 0;
  const read = async () => {
    for await (const chunk of child.stdout ?? []) {
      size += chunk.length;
      if (size <= maxOutputBytes) parts.push(chunk);
    }
  };
  const [end] = await Promise.all([endOf(child), read()]);
  if (signal?.aborted) throw new ImgctlError('Interrupted', `${attempted} was interrupted`);
  if (end.exitCode !== 0) throw zfsFailure(end, attempted);
  if (size > maxOutputBytes) throw new ImgctlError('LimitExceeded', `${attempted} failed: zfs said too much`);
  return Buffer.concat(parts).toString();
}

/** Whoever starts it awaits `endOf`. */
export function startZfs(list: readonly string[], options: RunOptions): RunningProcess {
  return startProcess('zfs', list, options);
}

/** As `ended`, but a zfs that cannot be started is `NotSupported`. */
export async function endOf(child: RunningProcess): Promise<ProcessEnd> {
  try {
    return await child.ended;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EACCES') throw error;
    throw new ImgctlError(
      'NotSupported',
      'Pools of type zfs need the program "zfs", which is not installed',
      {
        cause: error,
        hint: 'Install OpenZFS, or use a pool that is a directory: ZFS streams are unpacked there',
      },
    );
  }
}

export function zfsFailure({exitCode, signal, stderrTail}: ProcessEnd, attempted: string): ImgctlError {
  const said = stderrTail.replace(/\s*\n\s*/g, '; ');
  const code = meanings.find(([words]) => words.test(said))?.[1] ?? 'InternalError';
  const how = signal ? `signal ${signal}` : `exit code ${exitCode}`;
  return new ImgctlError(code, `${attempted} failed: ${said === '' ? how : `${said} (${how})`}`, {
    retryable: code === 'NoSpace' || code === 'ImageInUse',
    details: {exitCode, stderr: stderrTail},
  });
}

/** Lines of `zfs list -H`, in columns. */
export function columnsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

/** What `zfs version` says of the tools; undefined where there is no zfs. */
export async function zfsVersion(): Promise<string | undefined> {
  try {
    const text = await runZfs(['version'], 'Asking for the version of zfs');
    return text.split('\n')[0]?.trim();
  } catch (error) {
    if (error instanceof ImgctlError && error.code === 'NotSupported') return undefined;
    throw error;
  }
}
