/**
 * `boot-report`: what was wanted at this boot and what became of it. The notes of pulls tell most; of pulls by importd, and
 * of units that were not run, only the service manager knows.
 */

import type {Verification} from '../engine/engine.ts';
import type {ImageClass} from '../import1/image-class.ts';
import {isImageWish, type Wish} from '../import1/pull-wish.ts';
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
  outcome: 'pulled' | 'done' | 'skipped' | 'failed' | 'running' | 'pending' | 'duplicate' | 'unknown';
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
  return fateOfUnit(await context.stateOf(unit));
}

function fateOfUnit(state: UnitState | undefined): Fate {
  if (!state) return {outcome: 'unknown', why: 'no unit of this name is loaded'};
  if (!state.wasTried) return {outcome: 'pending'};
  if (!state.metConditions) return {outcome: 'skipped', why: 'an image of this name is there'};
  if (state.activeState === 'activating') return {outcome: 'running'};
  if (state.result !== 'success') return {outcome: 'failed', why: `the unit ended with "${state.result}"`};
  return {outcome: 'done'};
}
