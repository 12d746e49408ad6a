/**
 * `doctor`: whether the host can do what imgctl needs, and whether catalog, records and storage agree (design.md §4).
 * Storage and records are the truth: the catalog is made to fit them. Of a record without data nothing is lost either:
 * it is set aside, and comes back when its data does.
 */

import type {Catalog} from '../catalog/catalog.ts';
import type {ImageRecord} from '../catalog/records.ts';
import {ImgctlError} from '../errors.ts';
import {isUuid} from '../manifest/manifest.ts';
import type {DoctorCheck, DoctorContext} from './doctor-context.ts';
import {bringBackRecords, mendRecord, setAside, withoutLostInstances} from './doctor-records.ts';
import {poolText} from './pools.ts';

export interface DoctorResult {
  checks: DoctorCheck[];
  /** Problems that are left. */
  problems: number;
}

export async function examine(context: DoctorContext, options: {repair: boolean}): Promise<DoctorResult> {
  const checks = await context.checkHost();
  if (options.repair) checks.push(...(await bringBackRecords(context)));
  const {records, checks: recordChecks} = await checkRecords(context, options.repair);
  checks.push(...recordChecks, ...(await findStrays(context, records)));
  checks.push(...(await checkLeftovers(context, options.repair)));
  checks.push(...(await checkCatalog(context, records, options.repair)));
  return {checks, problems: checks.filter(({status}) => status === 'problem').length};
}

/** The records of images that are installed. */
async function checkRecords(
  context: DoctorContext,
  repair: boolean,
): Promise<{records: ImageRecord[]; checks: DoctorCheck[]}> {
  const records: ImageRecord[] = [];
  const checks: DoctorCheck[] = [];
  for (const uuid of await context.records.listUuids()) {
    const subject = `image ${uuid}`;
    try {
      const record = await context.records.find(uuid);
      if (!record) continue;
      const fault = await faultOf(context, record);
      if (fault === undefined) records.push(await withoutLostInstances(context, record, {repair, checks}));
      else if (fault.status === 'note' && repair) checks.push(await setAside(context, record, fault.text));
      else checks.push({subject, status: fault.status, message: fault.text});
    } catch (error) {
      if (!(error instanceof ImgctlError)) throw error;
      const mended = repair ? await mendRecord(context, uuid, error) : undefined;
      if (mended?.record && !(await faultOf(context, mended.record))) records.push(mended.record);
      const message = `${error.message}; the image is not listed`;
      checks.push(mended?.check ?? {subject, status: 'problem', message});
    }
  }
  const message = records.length === 1 ? '1 image is installed' : `${records.length} images are installed`;
  return {records, checks: [{subject: 'records', status: 'ok', message}, ...checks]};
}

async function faultOf(
  {engine, pools}: DoctorContext,
  record: ImageRecord,
): Promise<{status: 'note' | 'problem'; text: string} | undefined> {
  const pool = pools.find(({name}) => name === record.pool);
  if (!pool)
    return {status: 'problem', text: `its record names the pool "${record.pool}", which is not configured`};
  const stored = await engine.listImages(pool.store);
  if (stored.some(({name}) => name === record.localName)) return undefined;
  // A crash of an import leaves this, and so does a disk that is not mounted.
  const place = `${poolText(pools, pool.name)}/${record.localName}`;
  return {status: 'note', text: `it has a record but no data (${place}), so it is not installed`};
}

/** Data under a UUID that has no record: an import by other means, or a record that was lost. */
async function findStrays(context: DoctorContext, records: readonly ImageRecord[]): Promise<DoctorCheck[]> {
  const known = new Set(records.map(({localName}) => localName));
  const [machines] = context.pools;
  if (!machines) return [];
  return (await context.engine.listImages(machines.store))
    .filter(({name}) => isUuid(name) && !known.has(name))
    .map(({name, path}) => ({
      subject: `image ${name}`,
      status: 'note',
      message: `"${path}" has no record, so it is not installed`,
    }));
}

async function checkLeftovers(context: DoctorContext, repair: boolean): Promise<DoctorCheck[]> {
  // Records of transfers whose process is gone go with the asking.
  if (repair) await context.engine.listTransfers();
  return (await context.leftovers({remove: repair})).map((file) => ({
    subject: 'leftovers',
    status: repair ? 'repaired' : 'note',
    message: `"${file}" is left over from a process that was stopped`,
  }));
}

async function checkCatalog(
  context: DoctorContext,
  records: readonly ImageRecord[],
  repair: boolean,
): Promise<DoctorCheck[]> {
  const subject = 'catalog';
  let catalog: Catalog;
  const checks: DoctorCheck[] = [];
  try {
    catalog = await context.openCatalog();
    await catalog.check();
    await catalog.images.list();
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    if (!repair || error.code !== 'CatalogCorrupt')
      return [{subject, status: 'problem', message: error.message}];
    catalog = await context.replaceCatalog();
    checks.push({subject, status: 'repaired', message: `${error.message}; made anew from the records`});
  }
  const faults = await compareRows(catalog, records, repair || checks.length > 0);
  // A new catalog lacks every row; that was said already.
  if (checks.length === 0) checks.push(...faults);
  if (checks.length === 0) checks.push({subject, status: 'ok', message: 'agrees with the records'});
  return checks;
}

/** Rows and records made equal, or what is not equal said. */
async function compareRows(
  {images}: Catalog,
  records: readonly ImageRecord[],
  repair: boolean,
): Promise<DoctorCheck[]> {
  const rows = new Map((await images.list()).map((row) => [row.manifest.uuid, row]));
  const checks: DoctorCheck[] = [];
  const note = (uuid: string, message: string): void => {
    checks.push({subject: `catalog row ${uuid}`, status: repair ? 'repaired' : 'problem', message});
  };
  for (const record of records) {
    const {uuid} = record.manifest;
    const row = rows.get(uuid);
    rows.delete(uuid);
    if (row && JSON.stringify(row) === JSON.stringify(record)) continue;
    note(uuid, row ? 'it differs from the record' : 'it is missing');
    if (repair) await images.put(record);
  }
  for (const uuid of rows.keys()) {
    note(uuid, 'the image is not installed');
    if (repair) await images.remove(uuid);
  }
  return checks;
}
