/** One export, from finding the image to the last byte at the output's door. */
import {closeSync, constants, openSync, readlinkSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import type {BaseImage, ExportRequest, TransferResult} from '../../engine.ts';
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
  request: ExportRequest & {base?: BaseImage};
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
    const result = await runExportChild(options, snapshot.path, listener);
    listener.reportProgress(1);
    listener.reportLog(6, 'Operation completed successfully.');
    return {path: image, format: request.format, ...result};
  } catch (error) {
    throw asImgctlError(error, `Exporting "${request.localName}"`, signal);
  }
}

/** Reading a tree of any owner takes one right of root, reading an open disk image none. */
async function runExportChild(
  {request, sandbox, signal}: ExportJobOptions,
  image: string,
  listener: JobListener,
): Promise<Pick<TransferResult, 'notices' | 'baseDigest' | 'output'>> {
  const {format, outputFd, parallel} = request;
  const base = request.base && findBase(request.base, request);
  // importd knows how far it is with a disk only (spec/engine.md §8).
  const percent =
    format === 'raw'
      ? new PercentLog('Exported', (level, line) => listener.reportLog(level, line))
      : undefined;
  const [source, baseSource] = format === 'raw' ? [image, base].map(openDisk) : [];
  const cores = parallel ? availableParallelism() : undefined;
  let baseDigest: string | undefined;
  let output: TransferResult['output'];
  try {
    const notices = await runChild({
      name: 'export-child',
      task: taskOf(request, {image, base, cores}),
      sandbox,
      wrap: {target: undefined, readable: image, capabilities: format === 'tar' ? ['dac_read_search'] : []},
      // Node compresses in these threads, and one waits for the disk.
      ...(cores === undefined ? {} : {env: {UV_THREADPOOL_SIZE: String(Math.max(cores + 1, 4))}}),
      descriptors: {
        ...(source === undefined ? {} : {stdin: source}),
        descriptors: [outputFd, ...(baseSource === undefined ? [] : [baseSource])],
      },
      signal,
      onMessage: (message) => {
        if (message.type === 'base') baseDigest = message.digest;
        if (message.type === 'output') output = {sha256: message.sha256, sizeBytes: message.bytes};
        forward(message, listener, percent);
      },
    });
    return {notices, ...(baseDigest === undefined ? {} : {baseDigest}), ...(output && {output})};
  } finally {
    for (const fd of [source, baseSource]) if (fd !== undefined) closeSync(fd);
  }
}

function taskOf(
  {format, compression, digestOutput = false}: ExportRequest,
  {image, base, cores}: {image: string; base: string | undefined; cores: number | undefined},
): ExportTask {
  const isTree = format === 'tar';
  return {
    compression,
    digestOutput,
    ...(cores === undefined ? {} : {cores}),
    ...(isTree ? {directory: image} : {}),
    ...(base === undefined ? {} : {base: isTree ? {directory: base} : {}}),
  };
}

function findBase({store, localName}: BaseImage, request: ExportRequest): string {
  const base = findImage(store, localName);
  checkKind(base, {...request, localName});
  return base;
}

function openDisk(file: string | undefined): number | undefined {
  return file === undefined ? undefined : openSync(file, constants.O_RDONLY);
}

function forward(message: ChildMessage, listener: JobListener, percent: PercentLog | undefined): void {
  if (message.type === 'progress') {
    listener.reportProgress(message.fraction);
    percent?.update(message.fraction);
  }
  if (message.type === 'log') listener.reportLog(message.level, message.line);
}
