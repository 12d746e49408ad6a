import type {DecompressLimits} from '../../formats/decompress.ts';
import type {ExportCompression} from '../engine.ts';

/**
 * What the stream child is told. To decode: standard input is the file, descriptor 3 takes a plain stream. To encode:
 * standard input is a plain stream, descriptor 3 takes the file.
 */
export type StreamTask =
  | {mode: 'decode'; limits: DecompressLimits}
  | {mode: 'encode'; compression: ExportCompression; cores?: number};

export const streamFd = 3;
