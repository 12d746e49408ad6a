/** What an engine can do beyond storing, told by its methods: not every one can do all. */

import type {
  ArrivalImporter,
  DeltaEngine,
  Engine,
  FileConverter,
  ImageCloner,
  ImageDigester,
  ImageMarker,
  ImageRemover,
  ImageStore,
  TransferCanceller,
} from './engine.ts';

export function canConvert(engine: Engine): engine is Engine & FileConverter {
  return 'convertFile' in engine;
}

export function canImportArriving(
  engine: Engine & {importsArriving?(store: ImageStore): boolean},
  store: ImageStore,
): engine is Engine & ArrivalImporter {
  return 'importArriving' in engine && (engine.importsArriving?.(store) ?? true);
}

export function canRemove(engine: Engine): engine is Engine & ImageRemover {
  return 'removeImage' in engine;
}

export function canDelta(engine: Engine): engine is Engine & DeltaEngine {
  return 'importDelta' in engine;
}

export function canMark(engine: Engine): engine is Engine & ImageMarker {
  return 'markReadOnly' in engine;
}

export function canDigest(engine: Engine): engine is Engine & ImageDigester {
  return 'digestImage' in engine;
}

export function canClone(
  engine: Engine & {clonesIn?(store: ImageStore): boolean},
  store: ImageStore,
): engine is Engine & ImageCloner {
  return 'cloneImage' in engine && (engine.clonesIn?.(store) ?? true);
}

export function canCancel(engine: Engine): engine is Engine & TransferCanceller {
  return 'cancelTransfer' in engine;
}
