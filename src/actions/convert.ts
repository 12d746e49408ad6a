/** `convert FILE`: another format of a file, without any image. */

import {stat} from 'node:fs/promises';
import path from 'node:path';
import {canConvert} from '../engine/capabilities.ts';
import type {ConvertFormat, Engine} from '../engine/engine.ts';
import {errnoOf, ImgctlError} from '../errors.ts';
import type {ActionContext} from './context.ts';

export interface ConvertOptions {
  file: string;
  to: ConvertFormat;
  output: string;
  force: boolean;
  /** What relative paths start from. */
  cwd: string;
}

export interface ConvertedFile {
  action: 'converted';
  changed: true;
  file: string;
  to: ConvertFormat;
  output: string;
  sizeBytes: number;
}

export async function convertFile(
  context: {engine: Engine} & Pick<ActionContext, 'report' | 'signal'>,
  {file, to, output, force, cwd}: ConvertOptions,
): Promise<ConvertedFile> {
  const {engine, report, signal} = context;
  if (!canConvert(engine))
    throw new ImgctlError('NotSupported', `the ${engine.name} engine cannot convert files`);
  const title = path.basename(file);
  const sourcePath = path.resolve(cwd, file);
  let isDone = false;
  const size = await sizeOf(sourcePath, file);
  try {
    const {sizeBytes, notices} = await engine.convertFile({
      sourcePath,
      outputPath: path.resolve(cwd, output),
      to,
      force,
      signal,
      onProgress: (fraction) =>
        report.progress({
          uuid: file,
          title,
          phase: 'unpack',
          doneBytes: Math.round(fraction * size),
          totalBytes: size,
        }),
    });
    for (const notice of notices) report.notice(`${title}: ${notice}`);
    isDone = true;
    return {action: 'converted', changed: true, file, to, output, sizeBytes};
  } finally {
    report.progressEnd(file, isDone);
  }
}

async function sizeOf(sourcePath: string, file: string): Promise<number> {
  try {
    return (await stat(sourcePath)).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new ImgctlError('Usage', `file path does not exist: "${file}"`);
    throw error;
  }
}
