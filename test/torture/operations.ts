/** What is tortured: each command that changes something, from which state, and how a run after a fault must end. */
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import type {Outcome} from '../support/world.ts';
import {type Bench, disk, local, offered, tree} from './bench.ts';

export type StateName = 'empty' | 'full';

export interface Operation {
  name: string;
  state: StateName;
  args(bench: Bench): string[];
  /** UUIDs that are installed once it is done. */
  installed: string[];
  /** Whether the run after a fault ended as it should; by default with status 0. */
  endsWell?(outcome: Outcome): boolean;
  /** More that must hold, also half-way. */
  check?(bench: Bench): string[];
}

const full = [tree, disk];

export const operations: Operation[] = [
  {name: 'import', state: 'empty', args: () => ['import', '-q', offered], installed: [offered]},
  {name: 'import tree', state: 'empty', args: () => ['import', '-q', tree], installed: [tree]},
  {
    name: 'install',
    state: 'full',
    args: (bench) => ['install', '-q', '-m', bench.at('local.raw.imgmanifest'), '-f', bench.at('local.raw')],
    installed: [...full, local],
  },
  {
    name: 'pull',
    state: 'empty',
    args: (bench) => [
      ...['pull-raw', '-q', '--class=machine', '--verify=no', '--force'],
      ...[`${bench.world.url}/images/${disk}/file`, 'pulled'],
    ],
    installed: [],
  },
  {
    name: 'export',
    state: 'full',
    args: (bench) => ['export-tar', '-q', '--class=machine', tree, bench.at('out/exported.tar')],
    installed: full,
    check: (bench) => checkTar(bench.at('out/exported.tar')),
  },
  {
    name: 'create',
    state: 'full',
    args: (bench) => [
      ...['create', '-q', '-c', 'gzip', '-o', bench.at('out/made'), 'inst'],
      ...['name=made', 'version=1', 'os=linux'],
    ],
    installed: full,
    check: checkCreated,
  },
  {
    name: 'clone',
    state: 'full',
    args: () => ['clone', tree, 'made'],
    installed: full,
    endsWell: ({status, stderr}) => status === 0 || stderr.includes('error (InstanceExists)'),
  },
  {
    name: 'delete',
    state: 'full',
    args: () => ['delete', disk],
    installed: [tree],
    endsWell: ({status}) => status === 0 || status === 3,
  },
  {name: 'update', state: 'full', args: () => ['update', disk], installed: full},
  // Lists pass over what is ignored.
  {name: 'ignore', state: 'full', args: () => ['ignore', tree], installed: [disk]},
  {
    name: 'vacuum',
    state: 'full',
    args: () => ['vacuum', '-f'],
    installed: [tree],
  },
  {
    name: 'migrate',
    state: 'empty',
    args: (bench) => ['migrate-imgadm', '--import', bench.at('old')],
    installed: [offered],
  },
  {
    name: 'sources',
    state: 'full',
    args: () => ['sources', '-f', '-a', 'http://127.0.0.1:9'],
    installed: full,
  },
  {name: 'repair', state: 'full', args: () => ['doctor', '--repair'], installed: full},
];

/** Under its own name only when it is whole. */
function checkTar(file: string): string[] {
  if (!existsSync(file)) return [];
  return spawnSync('tar', ['-tf', file]).status === 0 ? [] : [`"${file}" can be seen and is not whole`];
}

/** A manifest speaks for the file beside it. */
function checkCreated(bench: Bench): string[] {
  const names = readdirSync(bench.at('out'));
  if (!names.includes('made.imgmanifest')) return [];
  const manifest = JSON.parse(readFileSync(bench.at('out/made.imgmanifest'), 'utf8'));
  const sha1 = createHash('sha1')
    .update(readFileSync(bench.at('out/made.tar.gz')))
    .digest('hex');
  return manifest.files[0].sha1 === sha1 ? [] : ['the manifest of "made" is of another file'];
}
