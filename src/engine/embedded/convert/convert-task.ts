import type {DecompressLimits} from '../../../formats/decompress.ts';
import type {ConvertFormat} from '../../engine.ts';

/** What the converting child is told. The file is its standard input; the result is `raw` in its working directory. */
export interface ConvertTask {
  to: ConvertFormat;
  limits: DecompressLimits;
  maxEntries: number;
}
