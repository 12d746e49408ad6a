/** What this host can do for imgctl, found by trying it (`doctor`). */

import {accessSync, constants, existsSync} from 'node:fs';
import {copyFile, statfs, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {Pool} from '../actions/context.ts';
import type {DoctorCheck} from '../actions/doctor-context.ts';
import {poolText} from '../actions/pools.ts';
import type {EmbeddedEngine} from '../engine/embedded/embedded-engine.ts';
import type {Engine} from '../engine/engine.ts';
import {readFreeBytes} from '../engine/zfs-pool/read-datasets.ts';
import {zfsVersion} from '../engine/zfs-pool/run-zfs.ts';
import {errnoOf, ImgctlError} from '../errors.ts';
import {formatSize} from '../manifest/size-text.ts';
import {isBtrfs} from '../sys/btrfs.ts';
import {makeStaging} from '../sys/staging.ts';
import {checkSurroundings, type Surroundings} from './host-surroundings.ts';

const leastNodeMajor = 26;

export async function checkHost(
  engine: Engine,
  pools: readonly Pool[],
  surroundings: Surroundings,
): Promise<DoctorCheck[]> {
  return [
    checkNode(),
    await ('sandboxReport' in engine ? checkSandbox(engine as EmbeddedEngine) : checkBus(engine)),
    await checkZfs(),
    ...(await Promise.all(pools.map((pool) => checkPool(pool, poolText(pools, pool.name))))),
    ...checkSurroundings(surroundings),
  ];
}

function checkNode(): DoctorCheck {
  const {node} = process.versions;
  const isEnough = Number(node.split('.')[0]) >= leastNodeMajor;
  const message = isEnough
    ? `Node ${node}`
    : `Node ${node} is older than ${leastNodeMajor}, whose decoders are needed`;
  return {subject: 'node', status: isEnough ? 'ok' : 'problem', message};
}

async function checkSandbox(engine: EmbeddedEngine): Promise<DoctorCheck> {
  const subject = 'sandbox';
  let report: Awaited<ReturnType<EmbeddedEngine['sandboxReport']>>;
  try {
    report = await engine.sandboxReport();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return {subject, status: 'problem', message: `it cannot be tried: ${(error as Error).message}`};
  }
  const {level, notice} = report;
  const message = `archives are unpacked within ${level}`;
  return {subject, status: notice ? 'note' : 'ok', message: notice ?? message};
}

async function checkBus(engine: Engine): Promise<DoctorCheck> {
  const subject = 'engine';
  try {
    const {length} = await engine.listTransfers();
    return {
      subject,
      status: 'ok',
      message: `org.freedesktop.import1 answers on the bus; ${length} transfers run`,
    };
  } catch (error) {
    return {subject, status: 'problem', message: error instanceof Error ? error.message : String(error)};
  }
}

async function checkZfs(): Promise<DoctorCheck> {
  const subject = 'zfs';
  try {
    const version = await zfsVersion();
    const message = version ?? 'not installed: ZFS streams are unpacked into directories and disks';
    return {subject, status: 'ok', message};
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    return {subject, status: 'note', message: error.message};
  }
}

async function checkZfsPool(dataset: string, subject: string): Promise<DoctorCheck> {
  try {
    const free = `${formatSize(await readFreeBytes(dataset))} free`;
    return {subject, status: 'ok', message: `"${dataset}" of ZFS: instances are clones; ${free}`};
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    return {subject, status: 'problem', message: error.message};
  }
}

async function checkPool({store}: Pool, name: string): Promise<DoctorCheck> {
  const subject = `pool ${name}`;
  const {directory, dataset} = store;
  if (dataset !== undefined) return checkZfsPool(dataset, subject);
  if (!existsSync(directory)) {
    return {subject, status: 'ok', message: `"${directory}" will be made when it is needed`};
  }
  const {bavail, bsize} = await statfs(directory);
  const free = `${formatSize(bavail * bsize)} free`;
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    const message = `"${directory}": ${await copyAbility(directory)}; ${free}`;
    return {subject, status: 'ok', message};
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) throw error;
    return {subject, status: 'note', message: `"${directory}" cannot be written; ${free}`};
  }
}

async function copyAbility(directory: string): Promise<string> {
  if (isBtrfs(directory)) return 'instances are snapshots (btrfs)';
  const staging = makeStaging(directory, 'doctor');
  const from = path.join(staging.path, 'raw');
  try {
    await writeFile(from, 'x');
    await copyFile(from, `${from}.copy`, constants.COPYFILE_FICLONE_FORCE);
    return 'instances share blocks with their images (reflink)';
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) throw error;
    return 'instances are full copies that keep holes';
  } finally {
    await staging.remove();
  }
}
