import {createReadStream} from 'node:fs';
import type {ExportCompression, ImageStore} from '../engine/engine.ts';
import {type ImageManifest, imageTitle, type ManifestFile} from '../manifest/manifest.ts';
import {FileDigester, type FileDigests} from '../verify/digester.ts';
import type {ActionContext} from './context.ts';

export interface WriteOrder {
  /** What is read. */
  source: {store: ImageStore; localName: string; isDisk: boolean};
  /** For progress and notices. */
  manifest: ImageManifest;
  compression: ManifestFile['compression'];
  /** An empty file, open for reading and writing; the caller closes and syncs it. */
  fd: number;
}

export interface WrittenFile extends FileDigests {
  sizeBytes: number;
}

/** Has the engine write the image into the file, and tells the digests of what is in the file now. */
export async function writeImageFile(context: ActionContext, order: WriteOrder): Promise<WrittenFile> {
  const {manifest, source, fd} = order;
  const title = imageTitle(manifest);
  try {
    const transfer = await context.engine.export({
      format: source.isDisk ? 'raw' : 'tar',
      store: source.store,
      localName: source.localName,
      compression: engineCompression(order.compression),
      parallel: true,
      outputFd: fd,
      signal: context.signal,
    });
    transfer.onProgress((fraction) => {
      if (fraction === undefined) return;
      const doneBytes = Math.round(fraction * 100);
      context.report.progress({uuid: manifest.uuid, title, phase: 'pack', doneBytes, totalBytes: 100});
    });
    const {notices} = await transfer.finished;
    for (const notice of notices) context.report.notice(`${title}: ${notice}`);
  } finally {
    context.report.progressEnd(manifest.uuid);
  }
  return digestOf(fd, context.signal);
}

function engineCompression(compression: ManifestFile['compression']): ExportCompression {
  return compression === 'none' ? 'uncompressed' : compression;
}

async function digestOf(fd: number, signal: AbortSignal): Promise<WrittenFile> {
  const digester = new FileDigester();
  let sizeBytes = 0;
  const stream = createReadStream('', {fd, start: 0, autoClose: false, highWaterMark: 1 << 20, signal});
  for await (const chunk of stream) {
    digester.update(chunk);
    sizeBytes += chunk.length;
  }
  return {...digester.digests(), sizeBytes};
}
