/**
 * `boot-report`: what was wanted at this boot and what became of it. The notes of pulls tell most, of images from the sources
 * their records; of pulls by importd, and of units that were not run, only the service manager knows.
 */

import type {ImageRecord, RecordStore} from '../catalog/records.ts';
import type {Verification} from '../engine/engine.ts';
import type {ImageClass} from '../import1/image-class.ts';
import {type ImageWish, isImageWish, type Wish} from '../import1/pull-wish.ts';
import type {PullNotes} from './pull-notes.ts';

/** What the service manager says of a unit. */
export interface UnitState {
  /** `ActiveState`, `Result` and `ConditionResult` as systemctl prints them. */
  activeState: string;
  result: string;
  /** False when a condition kept it from running. */
  metConditions: boolean;
  /** True once it has been started or skipped. */
  wasTried: boolean;
}

export interface ReportedWish {
  class: ImageClass;
  name: string | null;
  from: string;
  unit: string | null;
  /** Where the wish stands: `/proc/cmdline` or a file. */
  wantedBy: string;
  inInitrd: boolean;
  outcome:
    | 'pulled'
    | 'unchanged'
    | 'done'
    | 'skipped'
    | 'failed'
    | 'running'
    | 'pending'
    | 'duplicate'
    | 'unknown';
  verification?: Verification;
  why?: string;
}

export interface BootReport {
  wishes: ReportedWish[];
  /** What the generator refused or ignored. */
  complaints: string[];
}

export interface ReportContext {
  /** Of this boot. */
  notes: PullNotes;
  /** Of all times: what was last put in place. */
  lastNotes: PullNotes;
  records: Pick<RecordStore, 'listUuids' | 'find'>;
  /** Undefined where no service manager answers or does not know the unit. */
  stateOf(unit: string): Promise<UnitState | undefined>;
}

interface Wanted {
  wish: Wish;
  unit: string | undefined;
  sourcePath: string;
  inInitrd: boolean;
}

export async function reportBoot(
  context: ReportContext,
  plan: {wishes: readonly Wanted[]; complaints: string[]},
): Promise<BootReport> {
  const seen = new Set<string>();
  const wishes: ReportedWish[] = [];
  for (const wanted of plan.wishes) {
    const {wish, unit, sourcePath, inInitrd} = wanted;
    const key = `${inInitrd} ${unit}`;
    const fate = seen.has(key) ? duplicate : await fateOf(context, wanted);
    seen.add(key);
    wishes.push({
      class: wish.imageClass,
      name: wish.localName ?? null,
      from: isImageWish(wish) ? wish.image : wish.url,
      unit: unit ?? null,
      wantedBy: sourcePath,
      inInitrd,
      ...fate,
    });
  }
  return {wishes, complaints: plan.complaints};
}

type Fate = Pick<ReportedWish, 'outcome' | 'verification' | 'why'>;

const duplicate: Fate = {outcome: 'duplicate', why: 'another one is for the same image'};

async function fateOf(context: ReportContext, {wish, unit}: Wanted): Promise<Fate> {
  const note = await context.notes.find(wish.imageClass, wish.localName ?? '');
  if (note && !isImageWish(wish) && note.url === wish.url) {
    if (note.outcome === 'failed') return {outcome: 'failed', why: note.error?.message ?? 'no reason noted'};
    return note.verification ? {outcome: 'pulled', verification: note.verification} : {outcome: 'pulled'};
  }
  if (unit === undefined) return {outcome: 'failed', why: 'the name is too long for a unit'};
  const fate = fateOfUnit(await context.stateOf(unit));
  return fate.outcome === 'done' ? {...fate, ...(await knownOf(context, wish))} : fate;
}

/** What is known of an image that is there though this boot did not pull it. */
async function knownOf(context: ReportContext, wish: Wish): Promise<Partial<Fate>> {
  if (isImageWish(wish)) {
    const record = await recordOf(context.records, wish);
    // Without digests it was there before imgctl knew it, and nothing was verified.
    if (!record?.digests) return {};
    const {verification, digests} = record;
    const {level, keyId: keyFingerprint} = verification;
    return {verification: {level, sha256: digests.sha256, ...(keyFingerprint && {keyFingerprint})}};
  }
  if (!wish.refresh) return {};
  const last = await context.lastNotes.find(wish.imageClass, wish.localName ?? '');
  const verification = last?.url === wish.url ? last.verification : undefined;
  return {outcome: 'unchanged', ...(verification && {verification})};
}

/** The newest installed image that the wish may mean. */
async function recordOf(
  records: ReportContext['records'],
  wish: ImageWish,
): Promise<ImageRecord | undefined> {
  const uuids = await records.listUuids();
  const found = await Promise.all(uuids.map((uuid) => records.find(uuid)));
  return found
    .filter((record) => record !== undefined)
    .filter(({manifest: {uuid, name, version}, pool, localName}) => {
      const isMeant = [uuid, name, `${name}@${version}`].includes(wish.image);
      return isMeant && pool === wish.imageClass && (wish.localName ?? localName) === localName;
    })
    .sort((left, right) => (left.installedAt < right.installedAt ? 1 : -1))[0];
}

function fateOfUnit(state: UnitState | undefined): Fate {
  if (!state) return {outcome: 'unknown', why: 'no unit of this name is loaded'};
  if (!state.wasTried) return {outcome: 'pending'};
  if (!state.metConditions) return {outcome: 'skipped', why: 'an image of this name is there'};
  if (state.activeState === 'activating') return {outcome: 'running'};
  if (state.result !== 'success') return {outcome: 'failed', why: `the unit ended with "${state.result}"`};
  return {outcome: 'done'};
}
