/** Our import generator beside systemd's own: the recorded runs, and thousands of generated boots. */

import {spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {fixturePath} from '../../fixtures-dir.ts';
import {boots, hostileBoots} from './boot-lines.ts';
import {deviations, differsByDesign} from './deviations.ts';
import {hasTree, type Outcome, oracle, runOurs, runReal} from './real-generator.ts';

const suites = [
  {suite: 'sid', version: '262', is257: false},
  {suite: 'trixie', version: '257', is257: true},
];
/** Boots per version: IMGCTL_GENERATOR_RUNS=5000 for a long run, IMGCTL_GENERATOR_SEED=N for another one. */
const runs = Number(process.env.IMGCTL_GENERATOR_RUNS ?? 600);
const seed = Number(process.env.IMGCTL_GENERATOR_SEED ?? 7);

let directory = '';
beforeAll(() => {
  // Memory, where there is some: thousands of small files.
  directory = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'imgctl-generator.'));
});
afterAll(() => {
  rmSync(directory, {recursive: true, force: true});
});

describe.each(suites)('systemd $version', ({suite, version, is257}) => {
  test.runIf(hasTree(suite))('the recorded runs come out as recorded, but for the listed fixes', () => {
    const ours = path.join(directory, `captures-${version}`);
    const program = path.join(import.meta.dirname, '../../../bin/systemd-import-generator');
    const captured = spawnSync(
      path.join(oracle, 'capture.sh'),
      [suite, ours, fixturePath('oracle', 'cases.sh')],
      {
        encoding: 'utf8',
        env: {...process.env, CAPTURE_ONLY: '^(rd-)?gen-', CAPTURE_FS: 'dir', CAPTURE_GENERATOR: program},
      },
    );
    expect(captured.status, captured.stderr).toBe(0);
    const golden = fixturePath('oracle', 'golden', version);
    const options = ['--only', '^(rd-)?gen-', '--sections', 'exit,stderr,units', '-v'];
    const judged = spawnSync(path.join(oracle, 'compare.py'), [golden, ours, ...options], {encoding: 'utf8'});
    const differences = judged.stdout.split('\n').slice(0, -2);
    // Each line that is missing has to be there as the list of deviations corrects it.
    const removed = differences.filter((line) => line.startsWith('    - ')).map((line) => line.slice(6));
    const added = differences.filter((line) => line.startsWith('    + ')).map((line) => line.slice(6));
    expect(added).toEqual(removed.map(correctLine));
    expect(judged.stdout).toMatch(/^\d+ of 32 cases equal/m);
  });

  test.runIf(hasTree(suite))('generated boots give the same units, messages and exit status', () => {
    const sampled = fc.sample(boots, {numRuns: runs, seed});
    const inputs = sampled.filter((boot) => !differsByDesign(boot));
    expect(inputs.length).toBeGreaterThan(runs * 0.9);
    const real = runReal(suite, path.join(directory, `real-${version}`), inputs);
    const style = {form: 'varlink', is257} as const;
    for (const [index, boot] of inputs.entries()) {
      const ours = runOurs(path.join(directory, `ours-${version}`, String(index)), boot, style);
      const reference = real[index];
      if (!reference) throw new Error(`no outcome of boot ${index}`);
      expect({boot, ...ours}).toEqual({boot, ...corrected(reference)});
    }
  });
});

describe.each(suites)('systemd $version, on hostile boots', ({suite, version, is257}) => {
  test.runIf(hasTree(suite))('we never fail where it does not, and write the same where we may', () => {
    const inputs = fc.sample(hostileBoots, {numRuns: Math.ceil(runs / 6), seed});
    const real = runReal(suite, path.join(directory, `real-hostile-${version}`), inputs);
    let compared = 0;
    for (const [index, boot] of inputs.entries()) {
      const folder = path.join(directory, `ours-hostile-${version}`, String(index));
      const ours = runOurs(folder, boot, {form: 'varlink', is257});
      const reference = real[index];
      if (!reference) throw new Error(`no outcome of boot ${index}`);
      if (ours.status !== 0) expect({boot, status: reference.status}).toEqual({boot, status: ours.status});
      if (differsByDesign(boot)) continue;
      compared++;
      expect({boot, ...ours}).toEqual({boot, ...corrected(reference)});
    }
    expect(compared).toBeGreaterThan(inputs.length / 10);
  });
});

test('every deviation changes something that the recorded or generated runs can meet', () => {
  const line = `ExecStart=:varlinkctl call x io.systemd.Import.Pull '{"remote":"http://h/it's\\\\"}'`;
  expect(deviations['apostrophe-in-json']?.correctLine(line)).toContain('it\\u0027s');
  expect(deviations['backslash-in-json']?.correctLine(line)).toContain("it's\\\\\\\\");
  expect(deviations['backslash-at-line-end']?.correctLine('Description=a\\')).toBe('Description=a\\ ');
  expect(deviations['percent-in-description']?.correctLine('Description=a%b')).toBe('Description=a%%b');
});

function corrected(outcome: Outcome): Outcome {
  const entries = Object.entries(outcome.units).map(([name, text]): [string, string] => {
    return [name, text.split('\n').map(correctLine).join('\n')];
  });
  return {...outcome, units: Object.fromEntries(entries)};
}

function correctLine(line: string): string {
  return Object.values(deviations).reduce((text, deviation) => deviation.correctLine(text), line);
}
