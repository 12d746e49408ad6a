/**
 * `vacuum` (spec/imgadm.md §8): images that nothing uses go, children before the origins that this makes unused. In use is
 * what has dependents or what the host uses (design.md §5); each image is looked at again under its lock before it goes.
 */

import {ImgctlError} from '../errors.ts';
import {imageTitle} from '../manifest/manifest.ts';
import {compareNewest} from '../manifest/newest.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {ActionContext, Pool} from './context.ts';
import {DamagedRecords} from './damaged-records.ts';
import {removeImage} from './delete.ts';
import {childrenByOrigin, dependentsAmong} from './dependents.ts';
import {installedBytes} from './image-size.ts';
import {type InstalledImage, listInstalled} from './installed.ts';
import {getPool} from './pools.ts';
import {findUses} from './uses.ts';

export interface VacuumOptions {
  /** Undefined: every pool of class machine. */
  poolName?: string | undefined;
  /** How many of the newest images of each name stay. */
  keepNewest: number;
  /** Images that were installed less long ago stay. */
  minAgeMs: number;
}

export interface VacuumedImage {
  uuid: string;
  name: string;
  version: string;
  /** Allocated on disk. */
  sizeBytes: number;
}

export interface KeptImage {
  uuid: string;
  name: string;
  version: string;
  reason: 'used' | 'newest' | 'young';
  /** The reason in words. */
  text: string;
}

export interface VacuumPlan {
  /** In the order in which they go. */
  unused: VacuumedImage[];
  /** In the order of their UUIDs. */
  kept: KeptImage[];
}

/** Changes nothing. Ignored images are not looked at; they count as dependents. */
export async function planVacuum(context: ActionContext, options: VacuumOptions): Promise<VacuumPlan> {
  const pools = choosePools(context, options.poolName);
  const damaged = new DamagedRecords(context);
  const installed = await listInstalled(context, damaged.note);
  const candidates = installed.filter(({pool, record}) => pools.includes(pool) && !record.ignored);
  const reasons = new Map<InstalledImage, Pick<KeptImage, 'reason' | 'text'>>();
  const doomed: InstalledImage[] = [];
  let left = installed;
  for (;;) {
    const wave: InstalledImage[] = [];
    const children = childrenByOrigin(left);
    for (const image of candidates) {
      if (doomed.includes(image)) continue;
      const reason = await reasonToKeep(context, image, {
        children,
        damaged,
        installed,
        options,
        known: reasons.get(image),
      });
      if (reason) reasons.set(image, reason);
      else wave.push(image);
    }
    if (wave.length === 0) break;
    doomed.push(...wave);
    left = left.filter((image) => !wave.includes(image));
  }
  const kept = candidates.filter((image) => !doomed.includes(image));
  return {
    unused: await Promise.all(doomed.map((image) => withSize(context, image))),
    kept: kept.map((image) => ({...titleOf(image), ...reasons.get(image)!})),
  };
}

/** Stops at the first image that cannot be removed. */
export async function carryOutVacuum(context: ActionContext, plan: VacuumPlan): Promise<void> {
  for (const image of plan.unused) {
    const title = imageTitle(image);
    try {
      await removeImage(context, {uuid: image.uuid, poolName: undefined});
    } catch (error) {
      if (!(error instanceof ImgctlError)) throw error;
      const {code, hint, details, retryable} = error;
      throw new ImgctlError(code, `Error deleting image ${image.uuid} (${title}): ${error.message}`, {
        ...{cause: error, retryable},
        ...(hint !== undefined && {hint}),
        ...(details !== undefined && {details}),
      });
    }
    context.report.step(`Deleted image ${image.uuid} (${title})`);
  }
}

/** What the images to go have allocated. */
export function vacuumedBytes({unused}: VacuumPlan): number {
  return unused.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
}

/** One line for people: what goes, and why the others stay. */
export function vacuumSummary(plan: VacuumPlan): string {
  const {unused, kept} = plan;
  const count = (reason: KeptImage['reason']): number =>
    kept.filter((image) => image.reason === reason).length;
  const reasons = [
    [count('used'), 'in use'],
    [count('newest'), 'newest of their name'],
    [count('young'), 'not old enough'],
  ].filter(([number]) => number !== 0);
  const why = reasons.length > 0 ? ` (${reasons.map((pair) => pair.join(' ')).join(', ')})` : '';
  return `${images(unused.length)}, ${formatSize(vacuumedBytes(plan))} would be freed; ${images(kept.length)} kept${why}`;
}

function images(count: number): string {
  return `${count} ${count === 1 ? 'image' : 'images'}`;
}

function choosePools(context: ActionContext, name: string | undefined): Pool[] {
  if (name !== undefined) return [getPool(context.pools, name)];
  return context.pools.filter(({store}) => store.imageClass === 'machine');
}

interface Surroundings {
  /** Of the images that are not yet to go. */
  children: ReturnType<typeof childrenByOrigin>;
  damaged: DamagedRecords;
  installed: readonly InstalledImage[];
  options: VacuumOptions;
  /** What was found in the wave before. */
  known: Pick<KeptImage, 'reason' | 'text'> | undefined;
}

/** Only dependents can become fewer from wave to wave; the rest is looked at once, the costly part last. */
async function reasonToKeep(
  context: ActionContext,
  image: InstalledImage,
  {children, damaged, installed, options, known}: Surroundings,
): Promise<Pick<KeptImage, 'reason' | 'text'> | undefined> {
  const dependents = dependentsAmong(context, image, children);
  const [dependent, ...others] = [...dependents, ...(await damaged.naming(image.record.manifest.uuid))];
  if (dependent !== undefined) {
    const more = others.length > 0 ? ` and ${others.length} others` : '';
    return {reason: 'used', text: `dependent clones: ${dependent}${more}`};
  }
  if (known && !known.text.startsWith('dependent clones')) return known;
  if (isAmongNewest(image, installed, options.keepNewest)) {
    return {reason: 'newest', text: `among the ${options.keepNewest} newest of its name`};
  }
  const ageMs = context.now().getTime() - Date.parse(image.record.installedAt);
  if (ageMs < options.minAgeMs) return {reason: 'young', text: `installed ${image.record.installedAt}`};
  const uses = await findUses(context, image);
  return uses.length > 0 ? {reason: 'used', text: uses.join(', ')} : undefined;
}

function isAmongNewest(image: InstalledImage, installed: readonly InstalledImage[], count: number): boolean {
  const {manifest} = image.record;
  const newer = installed.filter(({record}) => {
    return record.manifest.name === manifest.name && compareNewest(record.manifest, manifest) < 0;
  });
  return newer.length < count;
}

async function withSize(context: ActionContext, image: InstalledImage): Promise<VacuumedImage> {
  return {...titleOf(image), sizeBytes: await installedBytes(context, image)};
}

function titleOf({record}: InstalledImage): Pick<KeptImage, 'uuid' | 'name' | 'version'> {
  const {uuid, name, version} = record.manifest;
  return {uuid, name, version};
}
