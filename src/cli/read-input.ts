import {ImgctlError} from '../errors.ts';
import {maxManifestBytes} from '../manifest/parse.ts';

/** All text of standard input, as long as a manifest may be. */
export async function readInput(stdin: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk as string));
    sizeBytes += chunk.length;
    if (sizeBytes > maxManifestBytes)
      throw new ImgctlError(
        'LimitExceeded',
        `the manifest on stdin is longer than ${maxManifestBytes} bytes`,
      );
  }
  return Buffer.concat(chunks).toString();
}
