/**
 * `npm run torture`: proves that nothing is lost or half visible whatever is killed or fails. `-- --short` is the form
 * that the tests include, `-- --seed N` repeats a run, `-- --minutes N` is how long it takes at least to end, `-- --only NAME`
 * keeps to an operation's faults. A run that is neither short nor of one operation writes docs/reliability.md.
 */
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {reportOf} from './report.ts';
import {torture} from './torture.ts';

const {values} = parseArgs({
  options: {
    short: {type: 'boolean', default: false},
    seed: {type: 'string'},
    minutes: {type: 'string'},
    only: {type: 'string', multiple: true},
  },
});
const run = await torture({
  seed: Number(values.seed ?? Date.now() % 1_000_000),
  minutes: Number(values.minutes ?? (values.short ? 1 : 180)),
  processes: values.short ? 8 : 20,
  fuzzInputs: values.short ? 500 : 100_000,
  parsers: values.short ? 6 : undefined,
  kills: values.short ? undefined : 220,
  only: values.only,
  say: (text) => console.log(text),
});
const report = reportOf(run);
if (values.short || values.only) console.log(report);
else {
  const docs = path.join(import.meta.dirname, '../../docs');
  mkdirSync(docs, {recursive: true});
  writeFileSync(path.join(docs, 'reliability.md'), report);
}
console.log(`seed ${run.seed}: ${run.findings.length} findings`);
process.exitCode = run.findings.length > 0 ? 1 : 0;
