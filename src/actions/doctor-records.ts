/**
 * Repairs of records. Each is done under the image's lock and upon the record as it is then: an import or a clone that
 * runs has written its record and not yet its data, and must not lose it.
 */

import type {ImageRecord} from '../catalog/records.ts';
import type {DoctorCheck, DoctorContext} from './doctor-context.ts';

const subjectOf = (record: ImageRecord): string => `image ${record.manifest.uuid}`;

/** Records that were set aside and whose data is there. */
export async function bringBackRecords(context: DoctorContext): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = [];
  for (const record of await context.records.listAside()) {
    if (!(await hasData(context, record))) continue;
    const isBack = await underLock(context, record, () => context.records.bringBack(record.manifest.uuid));
    if (!isBack) continue;
    checks.push({
      subject: subjectOf(record),
      status: 'repaired',
      message: 'its data is back, and so is its record',
    });
  }
  return checks;
}

/** A record without data. */
export async function setAside(
  context: DoctorContext,
  record: ImageRecord,
  text: string,
): Promise<DoctorCheck> {
  const {uuid} = record.manifest;
  const isDone = await underLock(context, record, async () => {
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
  const mended = repair && (await underLock(context, record, () => forget(context, record)));
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
  {manifest}: ImageRecord,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const lock = await locks.tryAcquire(`import-${manifest.uuid}`);
  if (!lock) return undefined;
  try {
    return await work();
  } finally {
    lock.release();
  }
}
