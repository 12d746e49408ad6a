/** Runs the unpacking child, which may write to its staging directory and nowhere else. */
import type {RunningProcess} from '../../sys/run.ts';
import {runChild} from './child-process.ts';
import type {ChildMessage, UnpackTask} from './child-protocol.ts';
import type {Sandbox} from './sandbox.ts';
import {setTrustedXattrs} from './trusted-xattrs.ts';

export interface UnpackOptions {
  sandbox: Sandbox;
  /** The staging directory; becomes the child's working directory. */
  staging: string;
  /** The open source file; undefined for a directory. */
  source: number | undefined;
  task: UnpackTask;
  signal: AbortSignal;
  onMessage: (message: ChildMessage) => void;
  /** Gets the child's pipes; the first one tells of a file that is arriving. */
  onStart?: (child: RunningProcess) => void;
}

/** Resolves with the child's notices once it is done and gone; rejects with what it reported. */
export async function runUnpackChild(options: UnpackOptions): Promise<string[]> {
  const {sandbox, staging, source, task, signal, onMessage, onStart} = options;
  const place = task.sourceDirectory?.path ?? task.origin?.directory;
  const readable = place === undefined ? {} : {readable: place};
  const notices = await runChild({
    name: 'unpack-child',
    task,
    sandbox,
    wrap: {target: staging, ...readable},
    descriptors: {
      ...(source !== undefined && {stdin: source}),
      ...(task.isArriving && {descriptors: ['pipe']}),
    },
    signal,
    onMessage,
    ...(onStart && {onStart}),
  });
  return [...notices, ...setTrustedXattrs(staging)];
}
