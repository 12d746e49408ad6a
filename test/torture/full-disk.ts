/** The disk, or its inodes, run out at every stage: everything of the root on one small file system. Needs root. */
import {execFileSync, spawnSync} from 'node:child_process';
import {rmSync} from 'node:fs';
import path from 'node:path';
import type {Bench} from './bench.ts';
import {operations} from './operations.ts';
import type {Random} from './random.ts';

export interface FullDiskRow {
  runs: number;
  /** Runs that the full disk ended. */
  refused: number;
}

export interface FullDiskOptions {
  random: Random;
  until: number;
  onFinding(text: string): void;
}

const tortured = ['import', 'import tree', 'install', 'pull', 'clone', 'delete', 'update'];
/** Room beyond what is there: pages of 4 KiB, or inodes. */
const mostPages = 260;
const mostInodes = 40;
const enough = {pages: 16_384, inodes: 4096};

export async function runFullDisk(bench: Bench, options: FullDiskOptions): Promise<FullDiskRow> {
  const row = {runs: 0, refused: 0};
  while (Date.now() < options.until) {
    const operation = options.random.pick(operations.filter(({name}) => tortured.includes(name)));
    const isInodes = options.random.next() < 0.3;
    const room = options.random.below(isInodes ? mostInodes : mostPages);
    bench.begin(operation);
    const mount = mountSmall(bench, isInodes ? {...enough, inodes: room} : {...enough, pages: room});
    const note = (text: string): void =>
      options.onFinding(`${operation.name} with room for ${room} ${isInodes ? 'inodes' : 'pages'}: ${text}`);
    try {
      const args = operation.args(bench);
      const run = bench.world.run(args);
      row.runs += 1;
      if (run.status !== 0) row.refused += 1;
      if (run.status === null || run.stderr.includes('InternalError')) note(`${run.signal} ${run.stderr}`);
      bench.check({settled: false}).forEach(note);
      mount.widen();
      const again = bench.world.run(args);
      if (operation.endsWell ? !operation.endsWell(again) : again.status !== 0)
        note(`the next run ended with ${again.status}: ${again.stderr}`);
      bench.world.run(['doctor', '--repair']);
      bench.check({settled: true}).forEach(note);
    } finally {
      mount.end();
    }
  }
  return row;
}

interface SmallMount {
  widen(): void;
  end(): void;
}

/** What is there, and so much room more. */
function mountSmall(bench: Bench, {pages, inodes}: {pages: number; inodes: number}): SmallMount {
  const place = path.join(bench.world.root, 'var');
  const copy = bench.at('var-before');
  rmSync(copy, {recursive: true, force: true});
  execFileSync('mkdir', ['-p', place]);
  execFileSync('cp', ['-a', place, copy]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m,mode=755', 'tmpfs', place]);
  execFileSync('cp', ['-a', `${copy}/.`, place]);
  const [size, used] = execFileSync('stat', ['-f', '-c', '%b %f %c %d', place], {encoding: 'utf8'})
    .trim()
    .split(' ')
    .map(Number)
    .reduce<number[]>((sums, value, index, all) => {
      if (index % 2 === 0) sums.push(value - (all[index + 1] ?? 0));
      return sums;
    }, []);
  execFileSync('mount', [
    ...['-o', `remount,nr_blocks=${(size ?? 0) + pages},nr_inodes=${(used ?? 0) + inodes}`],
    place,
  ]);
  return {
    widen: () => void execFileSync('mount', ['-o', 'remount,size=256m,nr_inodes=100000', place]),
    end: () => void spawnSync('umount', ['-l', place]),
  };
}
