/** The unpacking child of a pull: what it says is kept until it is due. */

import type {DecompressLimits} from '../../../formats/decompress.ts';
import type {RunningProcess} from '../../../sys/run.ts';
import type {PullRequest} from '../../engine.ts';
import type {UnpackTask} from '../child-protocol.ts';
import type {Sandbox} from '../sandbox.ts';
import {runUnpackChild} from '../unpack-process.ts';

export interface PullChildOptions {
  sandbox: Sandbox;
  limits: DecompressLimits;
  maxEntries: number;
  signal: AbortSignal;
}

export interface PullChildWork {
  /** Path of the staging directory. */
  staging: string;
  what: Pick<UnpackTask, 'format' | 'sourceDirectory' | 'isArriving' | 'needsTwin'>;
  source?: number;
  onStart?: (child: RunningProcess) => void;
}

export interface PullChildResult {
  notices: string[];
  lines: [level: number, line: string][];
  decodedBytes: number;
}

/** What the file of a pull becomes; what is kept and wanted under a name is needed twice. */
export function unpackWish({format, localName, keepDownload}: PullRequest): PullChildWork['what'] {
  return {format, ...(keepDownload && localName !== undefined && {needsTwin: true})};
}

export async function runPullChild(
  {sandbox, limits, maxEntries, signal}: PullChildOptions,
  {staging, what, source, onStart}: PullChildWork,
): Promise<PullChildResult> {
  const lines: PullChildResult['lines'] = [];
  let decodedBytes = 0;
  const notices = await runUnpackChild({
    sandbox,
    staging,
    source,
    task: {...what, limits, maxEntries, isPull: true},
    signal,
    onMessage: (message) => {
      if (message.type === 'decoded') decodedBytes = message.bytes;
      if (message.type === 'log') lines.push([message.level, message.line]);
    },
    ...(onStart && {onStart}),
  });
  return {notices, lines, decodedBytes};
}
