/**
 * The recorded calls of systemd's importd, repeated against our service on a bus of its own, by the real importctl,
 * busctl and python3-dbus of systemd 262 (test/oracle/README.md).
 */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {fixturePath} from '../fixtures-dir.ts';
import {pythonWithDbus} from '../support/bus.ts';
import {hasOracle} from '../support/oracle.ts';

/** Wanted deviations: where ours may differ, and the rule that says so. */
const deviations: Readonly<Record<string, {lines: RegExp; rule: string}>> = {
  'bus-list-images': {
    lines: /^reply: .*String\('\.host'\)/,
    rule: 'the host has its own time of birth; the other images are compared by the list tests',
  },
  'bus-pull-empty-local': {lines: /^"GET/, rule: 'requests are compared by the pull tests'},
  'bus-pull-empty-verify': {
    lines: /^"GET|^machines\/\.#n<RANDOM>/,
    rule: 'SHA256SUMS signatures are asked for at once (spec/engine.md, Ours); the case ends before the transfer may have',
  },
  'bus-same-remote': {
    lines:
      /^"GET|^HTTP request to|^(Settings|Root hash|Verity|Root hash signature) .* could not be retrieved|^Got /,
    rule: 'side files are told about after the image, and what arrived before is gone on with (design.md §1)',
  },
  'bus-tree': {
    lines:
      /^"GET|^HTTP request to|^(Settings|Root hash|Verity|Root hash signature) .* could not be retrieved|^Got /,
    rule: 'as for bus-same-remote',
  },
  'bus-signals': {
    lines: /"(ProgressUpdate)"|Imported/,
    rule: 'how often there is something to tell depends on the time it takes',
  },
};

const chosen =
  /^bus-(err-.*|import-raw|introspect|introspect-xml|list-all-classes|list-images|pipe-fd|pull-empty-.*|same-remote|signals|tree)$/;
const golden = fixturePath('oracle', 'golden', '262');
const cases = readdirSync(golden)
  .map((file) => path.basename(file, '.txt'))
  .filter((name) => chosen.test(name));

/** A record without the lines that may differ, blocks and time-outs of the client counted out. */
function lines(directory: string, name: string): string[] {
  const text = readFileSync(path.join(directory, `${name}.txt`), 'utf8');
  const rule = deviations[name]?.lines;
  return text
    .split('\n')
    .filter((line) => !rule?.test(line))
    .map((line) => line.replace(/ alloc=\d+b/, ''));
}

const canRun = hasOracle('sid') && pythonWithDbus !== undefined;

describe.runIf(canRun)('our service answers as importd 262 did:', () => {
  let ours: string;

  beforeAll(() => {
    ours = mkdtempSync(path.join(tmpdir(), 'imgctl-importd-'));
    const capture = path.join(import.meta.dirname, '../oracle/capture.sh');
    execFileSync('bash', [capture, 'sid', ours], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        CAPTURE_IMPORTD: path.join(import.meta.dirname, '../../bin/imgctl-importd'),
        CAPTURE_ONLY: chosen.source,
      },
    });
  }, 180_000);
  afterAll(() => rmSync(ours, {recursive: true}));

  test.each(cases)('%s', (name) => {
    expect(lines(ours, name)).toEqual(lines(golden, name));
  });
});
