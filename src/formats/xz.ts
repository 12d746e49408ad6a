import {ImgctlError} from '../errors.ts';
import {through} from './through.ts';

const bufferBytes = 256 * 1024;

export interface XzLimits {
  /** What the decoder may allocate: the dictionary and about a mebibyte. */
  maxMemoryBytes: number;
}

/** Decodes xz: any number of streams, with padding between and after them as the format allows it. */
export async function* decodeXz(source: AsyncIterable<Buffer>, limits: XzLimits): AsyncGenerator<Buffer> {
  // Loaded here, because loading it opens a native library that few commands need.
  const {default: lzma} = await import('lzma-native');
  const decoder = lzma.createStream('streamDecoder', {
    memlimit: limits.maxMemoryBytes,
    flags: lzma.CONCATENATED,
    bufsize: bufferBytes,
  });
  try {
    yield* through(source, decoder);
  } catch (error) {
    throw explained(error, limits);
  }
}

/** Names of liblzma's results, as lzma-native puts them on its errors. */
function explained(error: unknown, limits: XzLimits): unknown {
  const name = error instanceof Error ? error.name : '';
  if (name === 'LZMA_MEMLIMIT_ERROR' || name === 'LZMA_MEM_ERROR') return xzTooLarge(limits, error);
  if (name === 'LZMA_BUF_ERROR') {
    return new Error('it ends too early or has other data after the end', {cause: error});
  }
  return error;
}

export function xzTooLarge({maxMemoryBytes}: XzLimits, cause?: unknown): ImgctlError {
  return new ImgctlError(
    'LimitExceeded',
    `The xz data needs more memory to decompress than the limit of ${maxMemoryBytes} bytes`,
    {cause, hint: 'Raise the limit, or compress the file again with a smaller dictionary'},
  );
}
