/**
 * Repairs of records. Each is done under the image's lock and upon the record as it is then: an import or a clone that
 * runs has written its record and not yet its data, and must not lose it.
 */

import type {ImageRecord} from '../catalog/records.ts';
import {ImgctlError} from '../errors.ts';
import type {DoctorCheck, DoctorContext} from './doctor-context.ts';

const subjectOf = (record: ImageRecord): string => `image ${record.manifest.uuid}`;

/** Records that were set aside and whose data is there. */
export async function bringBackRecords(context: DoctorContext): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = [];
  for (const record of await context.records.listAside()) {
    if (!(await hasData(context, record))) continue;
    const isBack = await underLock(context, record.manifest.uuid, () =>
      context.records.bringBack(record.manifest.uuid),
    );
    if (!isBack) continue;
    checks.push({
      subject: subjectOf(record),
      status: 'repaired',
      message: 'its data is back, and so is its record',
    });
  }
  return checks;
}

/**
 * A record that cannot be read: made anew from its copy in the catalog where there is one, else moved out of the way, so
 * that the image can be given a manifest again. Undefined when it can be read by now, or somebody works on the image.
 */
export async function mendRecord(
  context: DoctorContext,
  uuid: string,
  error: ImgctlError,
): Promise<{check: DoctorCheck; record: ImageRecord | undefined} | undefined> {
  return underLock(context, uuid, async () => {
    const isDamaged = await context.records.find(uuid).then(
      () => false,
      () => true,
    );
    if (!isDamaged) return undefined;
    const copy = await copyInCatalog(context, uuid);
    await context.records.setDamagedAside(uuid);
    if (copy) await context.records.write(copy);
    const end = copy ? 'made anew from the catalog' : `moved to "${uuid}.json.damaged" beside it`;
    const check: DoctorCheck = {
      subject: `image ${uuid}`,
      status: 'repaired',
      message: `${error.message}; ${end}`,
    };
    return {check, record: copy};
  });
}

async function copyInCatalog(context: DoctorContext, uuid: string): Promise<ImageRecord | undefined> {
  try {
    const catalog = await context.openCatalog();
    return await catalog.images.find(uuid).finally(() => catalog.close());
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    return undefined; // said where the catalog itself is looked at
  }
}

/** A record without data. */
export async function setAside(
  context: DoctorContext,
  record: ImageRecord,
  text: string,
): Promise<DoctorCheck> {
  const {uuid} = record.manifest;
  const isDone = await underLock(context, record.manifest.uuid, async () => {
    if (await hasData(context, record)) return false;
    await context.records.setAside(uuid);
    return true;
  });
  if (!isDone) return {subject: subjectOf(record), status: 'note', message: text};
  return {
    subject: subjectOf(record),
    status: 'repaired',
    message: `${text}; the record is set aside until the data is back`,
  };
}

/** The record as it is afterwards: a clone that was stopped has named an instance that was never made. */
export async function withoutLostInstances(
  context: DoctorContext,
  record: ImageRecord,
  {repair, checks}: {repair: boolean; checks: DoctorCheck[]},
): Promise<ImageRecord> {
  const lost = await lostInstances(context, record);
  if (lost.length === 0) return record;
  const message = `its record names instances that are not there: ${lost.join(', ')}`;
  const mended = repair && (await underLock(context, record.manifest.uuid, () => forget(context, record)));
  checks.push({subject: subjectOf(record), status: mended ? 'repaired' : 'note', message});
  return mended || record;
}

async function forget(context: DoctorContext, {manifest}: ImageRecord): Promise<ImageRecord | undefined> {
  const current = await context.records.find(manifest.uuid);
  if (!current) return undefined;
  const lost = await lostInstances(context, current);
  const instances = current.instances.filter(({name}) => !lost.includes(name));
  await context.records.write({...current, instances});
  return {...current, instances};
}

async function lostInstances({engine, pools}: DoctorContext, record: ImageRecord): Promise<string[]> {
  const [machines] = pools;
  if (!machines || record.instances.length === 0) return [];
  const stored = new Set((await engine.listImages(machines.store)).map(({name}) => name));
  return record.instances.map(({name}) => name).filter((name) => !stored.has(name));
}

async function hasData({engine, pools}: DoctorContext, record: ImageRecord): Promise<boolean> {
  const pool = pools.find(({name}) => name === record.pool);
  if (!pool) return false;
  return (await engine.listImages(pool.store)).some(({name}) => name === record.localName);
}

/** Undefined when somebody works on the image now. */
async function underLock<T>(
  {locks}: DoctorContext,
  uuid: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const lock = await locks.tryAcquire(`import-${uuid}`);
  if (!lock) return undefined;
  try {
    return await work();
  } finally {
    lock.release();
  }
}
