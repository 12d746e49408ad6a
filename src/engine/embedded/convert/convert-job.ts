/** One conversion, from an open file to another that appears when it is whole. Nothing temporary stays. */
import {closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import type {DecompressLimits} from '../../../formats/decompress.ts';
import {renameAt} from '../../../sys/files.ts';
import {makeStaging, type Staging, stagedRaw, sweepStaging} from '../../../sys/staging.ts';
import type {ConvertRequest, ConvertResult} from '../../engine.ts';
import {runChild} from '../child-process.ts';
import {asImgctlError} from '../failure.ts';
import {openSourceFile} from '../file-source.ts';
import type {Sandbox} from '../sandbox.ts';
import type {ConvertTask} from './convert-task.ts';

export interface ConvertJobOptions {
  request: ConvertRequest;
  sandbox: Sandbox;
  limits: DecompressLimits;
  maxEntries: number;
}

export async function runConversion(options: ConvertJobOptions): Promise<ConvertResult> {
  const {request} = options;
  const {sourcePath, outputPath, signal = new AbortController().signal} = request;
  try {
    const source = openSourceFile(sourcePath);
    try {
      await sweepStaging(path.dirname(outputPath));
      const staging = makeStaging(path.dirname(outputPath), path.basename(outputPath));
      try {
        const notices = await runConvertChild(options, staging, source, signal);
        signal.throwIfAborted();
        return {path: outputPath, sizeBytes: publish(staging, request), notices};
      } finally {
        await staging.remove();
      }
    } finally {
      closeSync(source);
    }
  } catch (error) {
    throw asImgctlError(error, `Converting "${sourcePath}" to "${outputPath}"`, signal);
  }
}

async function runConvertChild(
  {request, sandbox, limits, maxEntries}: ConvertJobOptions,
  staging: Staging,
  source: number,
  signal: AbortSignal,
): Promise<string[]> {
  const task: ConvertTask = {to: request.to, limits, maxEntries};
  return await runChild({
    name: 'convert-child',
    task,
    sandbox,
    wrap: {target: staging.path, capabilities: []},
    descriptors: {stdin: source},
    signal,
    onMessage: (message) => {
      if (message.type === 'progress') request.onProgress?.(message.fraction);
    },
  });
}

/** Gives the result its name, which nobody had unless `force` says so; returns its size. */
function publish(staging: Staging, {outputPath, force = false}: ConvertRequest): number {
  const fd = openSync(path.join(staging.path, stagedRaw), constants.O_RDONLY | constants.O_NOFOLLOW);
  const directory = openSync(path.dirname(outputPath), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fchmodSync(fd, 0o666 & ~process.umask());
    fsyncSync(fd);
    const name = path.basename(outputPath);
    renameAt(staging.fd, stagedRaw, directory, name, force ? 'replace' : 'noReplace');
    fsyncSync(directory);
    return fstatSync(fd).size;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new ImgctlError('FileSystem', `"${outputPath}" exists already`, {
      cause: error,
      hint: 'Choose another name, or use --force to replace it',
    });
  } finally {
    closeSync(fd);
    closeSync(directory);
  }
}
