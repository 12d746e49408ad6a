/** `fuzz-worker.ts PARSER SEED COUNT SECONDS`: feeds one parser; says what it did every second, a JSON line each. */
import {ImgctlError} from '../../src/errors.ts';
import {fuzzTargets} from './fuzz-targets.ts';
import {mutateBytes} from './mutate.ts';
import {Random} from './random.ts';

const [parser = '', seed = '', count = '', seconds = ''] = process.argv.slice(2);
const target = await fuzzTargets[parser]!();
const mutate = target.mutate ?? mutateBytes;
const until = performance.now() + Number(seconds) * 1000;
const state = {inputs: 0, refused: 0, slowestMs: 0, peakMiB: 0};
let saidAt = performance.now();

for (const sample of target.samples) await feed(sample, -1);
while (state.inputs < Number(count) && performance.now() < until) {
  const random = new Random(Number(seed) * 1_000_003 + state.inputs);
  await feed(mutate(target.samples, random), state.inputs);
  state.inputs += 1;
  if (performance.now() - saidAt > 1000) say();
}
say();
await target.close?.();
process.exit(0);

async function feed(bytes: Buffer, index: number): Promise<void> {
  const begin = performance.now();
  try {
    await target.read(bytes);
  } catch (error) {
    if (error instanceof ImgctlError) state.refused += 1;
    else finding(index, bytes, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const ms = performance.now() - begin;
  state.slowestMs = Math.max(state.slowestMs, ms);
  if (ms > 5000) finding(index, bytes, `it took ${Math.round(ms)} ms`);
}

function finding(index: number, bytes: Buffer, text: string): void {
  const input = bytes.subarray(0, 3000).toString('base64');
  console.log(JSON.stringify({finding: `input ${index} of seed ${seed}: ${text.slice(0, 600)}`, input}));
}

function say(): void {
  saidAt = performance.now();
  // In KiB.
  state.peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(JSON.stringify(state));
}
