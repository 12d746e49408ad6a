import {createReadStream} from 'node:fs';
import {canDelta} from '../engine/capabilities.ts';
import type {BaseImage, ExportCompression, ExportRequest, ImageStore, Transfer} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {type ImageManifest, imageTitle, type ManifestFile} from '../manifest/manifest.ts';
import {FileDigester, type FileDigests} from '../verify/digester.ts';
import type {ActionContext} from './context.ts';

export interface WriteOrder {
  /** What is read. */
  source: {store: ImageStore; localName: string; isDisk: boolean};
  /** For progress and notices. */
  manifest: ImageManifest;
  compression: ManifestFile['compression'];
  /** Write only what differs from it. */
  base?: BaseImage | undefined;
  /** An empty file, open for reading and writing; the caller closes and syncs it. */
  fd: number;
}

export interface WrittenFile extends FileDigests {
  sizeBytes: number;
  /** Of an incremental image: digest of the base's contents. */
  baseDigest?: string;
}

/** Has the engine write the image into the file, and tells the digests of what is in the file now. */
export async function writeImageFile(context: ActionContext, order: WriteOrder): Promise<WrittenFile> {
  const {manifest, fd} = order;
  const title = imageTitle(manifest);
  let baseDigest: string | undefined;
  let isDone = false;
  try {
    const transfer = await startExport(context, order);
    transfer.onProgress((fraction) => {
      if (fraction === undefined) return;
      const doneBytes = Math.round(fraction * 100);
      const share = {doneBytes, totalBytes: 100, isShare: true};
      context.report.progress({uuid: manifest.uuid, title, phase: 'pack', ...share});
    });
    const result = await transfer.finished;
    for (const notice of result.notices) context.report.notice(`${title}: ${notice}`);
    baseDigest = result.baseDigest;
    isDone = true;
  } finally {
    context.report.progressEnd(manifest.uuid, isDone);
  }
  const digests = await digestOf(fd, context.signal);
  return {...digests, ...(baseDigest === undefined ? {} : {baseDigest})};
}

async function startExport(context: ActionContext, order: WriteOrder): Promise<Transfer> {
  const {source, base} = order;
  const {engine} = context;
  const request: ExportRequest = {
    format: source.isDisk ? 'raw' : 'tar',
    store: source.store,
    localName: source.localName,
    compression: engineCompression(order.compression),
    parallel: true,
    outputFd: order.fd,
    signal: context.signal,
  };
  if (!base) return engine.export(request);
  if (canDelta(engine)) return engine.exportDelta({...request, base});
  throw new ImgctlError('NotSupported', 'this engine cannot make incremental images');
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
