/** One export, from finding the image to the last byte at the output's door. */
import {closeSync, constants, openSync, readlinkSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import type {ExportRequest, TransferResult} from '../../engine.ts';
import {runChild} from '../child-process.ts';
import type {ChildMessage} from '../child-protocol.ts';
import {asImgctlError} from '../failure.ts';
import type {JobListener} from '../import-job.ts';
import {PercentLog} from '../percent-log.ts';
import type {Sandbox} from '../sandbox.ts';
import type {ExportTask} from './export-task.ts';
import {checkKind, findImage} from './find-image.ts';
import {takeSnapshot} from './snapshot.ts';

export interface ExportJobOptions {
  request: ExportRequest;
  sandbox: Sandbox;
  signal: AbortSignal;
}

/** Does it all; rejects with an ImgctlError. */
export async function runExport(options: ExportJobOptions, listener: JobListener): Promise<TransferResult> {
  const {request, signal} = options;
  try {
    signal.throwIfAborted();
    const image = findImage(request.store, request.localName);
    const output = request.outputName ?? readlinkSync(`/proc/self/fd/${request.outputFd}`);
    listener.reportLog(
      6,
      `Exporting '${image}', saving to '${output}' with compression '${request.compression}'.`,
    );
    checkKind(image, request);
    await using snapshot = await takeSnapshot(image, request);
    const notices = await runExportChild(options, snapshot.path, listener);
    listener.reportProgress(1);
    listener.reportLog(6, 'Operation completed successfully.');
    return {path: image, format: request.format, notices};
  } catch (error) {
    throw asImgctlError(error, `Exporting "${request.localName}"`, signal);
  }
}

/** Reading a tree of any owner takes one right of root, reading an open disk image none. */
async function runExportChild(
  {request, sandbox, signal}: ExportJobOptions,
  image: string,
  listener: JobListener,
): Promise<string[]> {
  const {format, compression, outputFd, parallel} = request;
  // importd knows how far it is with a disk only (spec/engine.md §8).
  const percent =
    format === 'raw'
      ? new PercentLog('Exported', (level, line) => listener.reportLog(level, line))
      : undefined;
  const source = format === 'raw' ? openSync(image, constants.O_RDONLY) : undefined;
  try {
    const cores = parallel ? availableParallelism() : undefined;
    const task: ExportTask = {
      compression,
      ...(cores === undefined ? {} : {cores}),
      ...(format === 'tar' ? {directory: image} : {}),
    };
    return await runChild({
      name: 'export-child',
      task,
      sandbox,
      wrap: {target: undefined, readable: image, capabilities: format === 'tar' ? ['dac_read_search'] : []},
      // Node compresses in these threads.
      ...(cores === undefined ? {} : {env: {UV_THREADPOOL_SIZE: String(Math.max(cores, 4))}}),
      descriptors: {...(source === undefined ? {} : {stdin: source}), descriptors: [outputFd]},
      signal,
      onMessage: (message) => forward(message, listener, percent),
    });
  } finally {
    if (source !== undefined) closeSync(source);
  }
}

function forward(message: ChildMessage, listener: JobListener, percent: PercentLog | undefined): void {
  if (message.type === 'progress') {
    listener.reportProgress(message.fraction);
    percent?.update(message.fraction);
  }
  if (message.type === 'log') listener.reportLog(message.level, message.line);
}
