/**
 * importctl beside recordings of the real one: the cases of the fixture folder run with ours, on the same file systems,
 * and every section that differs stands in the reviewed list with the rule that wants it so.
 */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {fixturePath} from '../fixtures-dir.ts';
import {capture, differences, importctlCases} from '../support/captures.ts';
import {hasOracle} from '../support/oracle.ts';

interface Review {
  /** Why it is right that these differ. */
  rule: string;
  /** The case asks a service on the bus for what importctl did there: it runs with our service and the real importctl. */
  asksService?: boolean;
  /** Sections by the id of the case. */
  cases: Record<string, string>;
}

const bin = path.join(import.meta.dirname, '../../bin');
const [importctl, importd] = [path.join(bin, 'importctl'), path.join(bin, 'imgctl-importd')];
const reviews: Record<string, Review[]> = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../oracle/reviewed-differences.json'), 'utf8'),
);
const golden = (version: string) => fixturePath('oracle', 'golden', version);
const minutes = 60_000;

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'imgctl-captures-'));
});
afterAll(() => rmSync(scratch, {recursive: true, force: true}));

describe.runIf(hasOracle('sid'))('the cases of importctl', () => {
  test.each([
    {records: '262', fileSystem: 'ext4', others: ['257']},
    {records: '262-btrfs', fileSystem: 'btrfs', others: ['257-btrfs']},
  ])(
    'on $fileSystem come out as recorded, but for what was reviewed',
    async ({records, fileSystem, others}) => {
      const ids = importctlCases(golden(records));
      expect(ids.length).toBeGreaterThan(0);
      const output = mkdtempSync(path.join(scratch, `${records}-`));
      const list = reviews[records] ?? [];
      const asking = new Set(sectionsOf(list.filter((review) => review.asksService)).map(idOf));
      const order = {suite: 'sid', cases: fixturePath('oracle', 'cases.sh'), fileSystem, output};
      await capture({...order, program: {importctl}, ids: ids.filter((id) => !asking.has(id))});
      await capture({...order, program: {importd}, ids: ids.filter((id) => asking.has(id))});
      const references = [records, ...others].map(golden);
      const found = differences(output, references, {
        ids,
        scratch: `${output}-compared`,
      });
      const isAsking = (line: string) => asking.has(idOf(line));
      const reviewed = sectionsOf(list.filter((review) => !review.asksService));
      // A new difference is missing on the right, one that is gone on the left.
      expect(found.filter((line) => !isAsking(line)).toSorted()).toEqual(
        reviewed.filter((line) => ids.includes(idOf(line))).toSorted(),
      );
      // How far the service is when it is asked depends on the time: a difference there may also be none.
      const loose = new Set(sectionsOf(list.filter((review) => review.asksService)));
      expect(found.filter((line) => isAsking(line) && !loose.has(line))).toEqual([]);
      const isHard = (line: string) => /: (exit|files|record)$/.test(line);
      const hard = new Set(found.filter(isHard).map(idOf));
      expect(ids.filter((id) => !hard.has(id)).length / ids.length).toBeGreaterThanOrEqual(
        records === '262' ? 0.95 : 1,
      );
    },
    10 * minutes,
  );
});

/** One case a verb and a kind of outcome; `IMGCTL_TEST_ALL_CASES=1` takes all. */
const chosenOf257 =
  /^(cancel|export-(raw-gz|tar)|fail-(import-exists|import-truncated-xz|pull-404|pull-bad-url|pull-checksum)|import-(fs|raw-force|tar-stdin)|list-images|pull-(raw-(raw\.zst|side-files|signature)|tar-tar\.zst))$/;

test.runIf(hasOracle('trixie'))(
  'importctl 257 has its own outcome or that of 262 from our service, but for what was reviewed',
  async () => {
    const all = importctlCases(golden('257'));
    const ids = process.env.IMGCTL_TEST_ALL_CASES ? all : all.filter((id) => chosenOf257.test(id));
    const output = mkdtempSync(path.join(scratch, '257-'));
    const order = {suite: 'trixie', cases: fixturePath('oracle', 'cases.sh'), fileSystem: 'ext4', output};
    await capture({...order, program: {importd}, ids});
    const compared = {ids, scratch: `${output}-compared`};
    const found = differences(output, ['257', '262'].map(golden), compared);
    const reviewed = new Set(sectionsOf([...(reviews['262'] ?? []), ...(reviews['257'] ?? [])]));
    expect(found.filter((line) => !reviewed.has(line))).toEqual([]);
  },
  10 * minutes,
);

function sectionsOf(list: readonly Review[]): string[] {
  return list.flatMap(({cases}) =>
    Object.entries(cases).flatMap(([id, sections]) =>
      sections.split(' ').map((section) => `${id}: ${section}`),
    ),
  );
}

function idOf(line: string): string {
  return line.split(': ', 1)[0] ?? '';
}
