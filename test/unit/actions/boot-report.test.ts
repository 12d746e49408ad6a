import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type ReportContext, reportBoot, type UnitState} from '../../../src/actions/boot-report.ts';
import {type PullNote, PullNotes} from '../../../src/actions/pull-notes.ts';
import {RecordStore} from '../../../src/catalog/records.ts';
import type {PullWish, Wish} from '../../../src/import1/pull-wish.ts';
import {recordFor, uuidFor} from '../../support/catalogs.ts';

const url = 'https://h/a.raw';
const wish: PullWish = {
  type: 'raw',
  imageClass: 'sysext',
  url,
  localName: 'a',
  verify: 'signature',
  readOnly: false,
  runtime: false,
  blockdev: false,
  skipIfPresent: false,
  refresh: false,
  retries: 0,
};
const verification = {level: 'signature', sha256: 'a'.repeat(64), keyFingerprint: 'ABCD'} as const;
const pulled: PullNote = {
  url,
  imageClass: 'sysext',
  localName: 'a',
  endedAt: 'x',
  outcome: 'pulled',
  verification,
};
const ended: UnitState = {activeState: 'inactive', result: 'success', metConditions: true, wasTried: true};

let directory = '';
let state: UnitState | undefined;
let context: ReportContext & {records: RecordStore};
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-report.'));
  state = ended;
  context = {
    notes: new PullNotes(path.join(directory, 'boot')),
    lastNotes: new PullNotes(path.join(directory, 'last')),
    records: new RecordStore(path.join(directory, 'records')),
    stateOf: async () => state,
  };
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

async function fate(wanted: Wish): Promise<Record<string, unknown>> {
  const plan = {
    wishes: [{wish: wanted, unit: 'u.service', sourcePath: 'f', inInitrd: false}],
    complaints: [],
  };
  const [{outcome, verification: how, why} = {}] = (await reportBoot(context, plan)).wishes;
  return {outcome, ...(how && {how}), ...(why && {why})};
}

test('a pull of this boot tells itself how it was verified', async () => {
  await context.notes.write(pulled);
  expect(await fate(wish)).toEqual({outcome: 'pulled', how: verification});
});

test('a note of another URL for the same name is not about this wish', async () => {
  await context.notes.write({...pulled, url: 'https://h/other'});
  expect(await fate(wish)).toEqual({outcome: 'done'});
});

test('a refresh that found nothing new tells how the image was verified when it came', async () => {
  await context.lastNotes.write(pulled);
  expect(await fate({...wish, refresh: true})).toEqual({outcome: 'unchanged', how: verification});
  expect(await fate(wish)).toEqual({outcome: 'done'});
});

test.each([
  ['UUID', uuidFor('app')],
  ['name', 'app'],
  ['name and version', 'app@1.0.0'],
])('an image of the sources, wanted by its %s, is told by its record', async (_what, image) => {
  const older = {...recordFor('other'), installedAt: '2030-01-01T00:00:00.000Z'};
  await context.records.write(older);
  await context.records.write({
    ...recordFor('app'),
    digests: {sha1: '1', sha256: 'b'.repeat(64), sizeBytes: 1},
  });
  const imageWish = {
    image,
    imageClass: 'machine',
    localName: undefined,
    channel: undefined,
    retries: 0,
  } as const;
  expect(await fate(imageWish)).toEqual({outcome: 'done', how: {level: 'checksum', sha256: 'b'.repeat(64)}});
  expect(await fate({...imageWish, imageClass: 'sysext'})).toEqual({outcome: 'done'});
  expect(await fate({...imageWish, localName: 'web'})).toEqual({outcome: 'done'});
});

test.each([
  [undefined, {outcome: 'unknown', why: 'no unit of this name is loaded'}],
  [{...ended, wasTried: false}, {outcome: 'pending'}],
  [
    {...ended, metConditions: false},
    {outcome: 'skipped', why: 'an image of this name is there'},
  ],
  [{...ended, activeState: 'activating'}, {outcome: 'running'}],
  [
    {...ended, result: 'exit-code'},
    {outcome: 'failed', why: 'the unit ended with "exit-code"'},
  ],
])('of a unit in the state %j the report is %j', async (found, expected) => {
  state = found;
  expect(await fate(wish)).toEqual(expected);
});
