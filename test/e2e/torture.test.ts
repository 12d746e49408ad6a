/**
 * The short form of `npm run torture`, and what its long form has found, each under its name. Needs root: images in place
 * are immutable, and full disks are mounted.
 */
import {mkdirSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Bench, type FaultedRun, local} from '../torture/bench.ts';
import {type Operation, operations} from '../torture/operations.ts';
import {cutAt, recordCommand} from '../torture/power-loss.ts';
import {torture} from '../torture/torture.ts';

const isRoot = process.geteuid?.() === 0;
const {ENOSPC} = os.constants.errno;

test.runIf(isRoot)(
  'nothing is lost or half visible, whatever is killed or fails',
  {timeout: 400_000},
  async () => {
    const run = await torture({
      seed: 10,
      minutes: 0.4,
      processes: 8,
      fuzzInputs: 300,
      parsers: 4,
      say: () => undefined,
    });
    expect(run.findings).toEqual([]);
    const {series, kills, powerLoss, server, fuzz} = run.parts;
    for (const part of [series, kills, powerLoss, fuzz]) expect(part?.length).toBeGreaterThan(0);
    expect(server?.kills).toBeGreaterThan(0);
    expect(fuzz?.filter(({inputs}) => inputs === 0)).toEqual([]);
  },
);

describe.runIf(isRoot)('found by torture', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = new Bench();
    await bench.open();
  }, 120_000);
  afterAll(() => bench.close());

  const install: Operation = operations.find(({name}) => name === 'install')!;

  /** The number of the first call of that kind after the last one whose line fits. */
  function callAfter(pattern: RegExp, kind: string): number {
    bench.restore(install.state);
    const {calls} = bench.run(install.args(bench), {at: 0, errno: 0});
    const start = calls.findLastIndex((line) => pattern.test(line));
    expect(start).toBeGreaterThan(0);
    return calls.findIndex((line, index) => index > start && line.includes(` ${kind} `)) + 1;
  }

  function faulted(at: number, errno: number, goesOn = false): FaultedRun {
    bench.restore(install.state);
    const run = bench.run(install.args(bench), {at, errno, goesOn});
    expect(run.hasFired).toBe(true);
    return run;
  }

  test('an image that can neither stay in place nor be taken out again keeps its record', () => {
    const run = faulted(callAfter(/ rename raw$/, 'fsync'), ENOSPC, true);
    expect(run.status).toBe(1);
    expect(run.stderr).toContain('could not be taken out again');
    expect(bench.check({settled: false})).toEqual([]);
    expect(bench.world.run(install.args(bench)).status).toBe(0);
    expect(bench.world.installed()).toContain(local);
  });

  test('the record of a transfer that was killed goes with the repair', () => {
    faulted(callAfter(/ rename raw$/, 'fsync'), 0);
    expect(bench.world.run(install.args(bench)).status).toBe(0);
    expect(bench.world.run(['doctor', '--repair']).status).toBe(0);
    expect(bench.check({settled: true})).toEqual([]);
  });

  test('what a killed writer of a record left goes with the repair', () => {
    faulted(callAfter(/ create .*records\/\.#/, 'fsync'), 0);
    expect(bench.check({settled: true}).join()).toContain('left over: ');
    expect(bench.world.run(['doctor', '--repair']).status).toBe(0);
    expect(bench.check({settled: true})).toEqual([]);
  });

  test('the first record of a root is on the disk before its image is', () => {
    bench.restore('empty');
    // As on any host; the directory of records is new.
    mkdirSync(path.join(bench.world.root, 'var/lib/machines'), {recursive: true});
    const recorded = recordCommand(bench, install.args(bench));
    const commit = recorded.calls.findIndex(({op, path2}) => op === 'R' && path2.endsWith(`${local}.raw`));
    expect(commit).toBeGreaterThan(0);
    for (let at = commit; at <= recorded.calls.length; at += 1)
      expect([at, cutAt(bench, recorded, at, () => false)]).toEqual([at, []]);
  });
});
