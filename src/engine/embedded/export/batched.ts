const batchBytes = 256 * 1024;

/** The same bytes in larger chunks, because every chunk costs an encoder and the kernel a turn. */
export async function* batched(chunks: Iterable<Buffer> | AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    size += chunk.length;
    if (size < batchBytes) continue;
    yield parts.length === 1 ? chunk : Buffer.concat(parts, size);
    parts = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(parts, size);
}
