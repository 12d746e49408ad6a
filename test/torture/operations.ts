/** What is tortured: each command that changes something, from which state, and how a run after a fault must end. */
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import type {Outcome} from '../support/world.ts';
import {type Bench, disk, fresh, local, offered, tree} from './bench.ts';

export type StateName = 'empty' | 'full';

export interface Operation {
  name: string;
  state: StateName;
  args(bench: Bench): string[];
  /** It writes nothing here: the power cuts of the server are those that matter to it. */
  changesServerOnly?: true;
  /** The child that does part of the work. */
  child?: 'unpack-child' | 'export-child';
  /** Before each run. */
  prepare?(bench: Bench): void;
  /** UUIDs that are installed once it is done. */
  installed: string[];
  /** Whether the run after a fault ended as it should; by default with status 0. */
  endsWell?(outcome: Outcome): boolean;
  /** More that must hold, also half-way. */
  check?(bench: Bench): string[];
}

const full = [tree, disk];

export const operations: Operation[] = [
  {
    name: 'import',
    state: 'empty',
    child: 'unpack-child',
    args: () => ['import', '-q', offered],
    installed: [offered],
  },
  {
    name: 'import tree',
    state: 'empty',
    child: 'unpack-child',
    args: () => ['import', '-q', tree],
    installed: [tree],
  },
  {
    name: 'install',
    child: 'unpack-child',
    state: 'full',
    args: (bench) => ['install', '-q', '-m', bench.at('local.raw.imgmanifest'), '-f', bench.at('local.raw')],
    installed: [...full, local],
  },
  {
    name: 'pull',
    child: 'unpack-child',
    state: 'empty',
    args: (bench) => [
      ...['pull-raw', '-q', '--class=machine', '--verify=no', '--force'],
      ...[`${bench.world.url}/images/${disk}/file`, 'pulled'],
    ],
    installed: [],
  },
  {
    name: 'export',
    child: 'export-child',
    state: 'full',
    args: (bench) => ['export-tar', '-q', '--class=machine', tree, bench.at('out/exported.tar')],
    installed: full,
    check: (bench) => checkTar(bench.at('out/exported.tar')),
  },
  {
    name: 'create',
    child: 'export-child',
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
    child: 'unpack-child',
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
  {
    name: 'publish',
    state: 'full',
    changesServerOnly: true,
    prepare: (bench) => void bench.world.run(['server', 'delete', '--yes', bench.world.url, fresh]),
    args: (bench) => [
      ...['publish', '-q', '-m', bench.at('fresh.raw.imgmanifest'), '-f', bench.at('fresh.raw')],
      bench.world.url,
    ],
    installed: full,
    // It may have come to its end on the server before the fault.
    endsWell: ({status, stderr}) => status === 0 || stderr.includes('error (ImageUuidAlreadyExists)'),
    check: checkOffered,
  },
  {name: 'repair', state: 'full', args: () => ['doctor', '--repair'], installed: full},
];

/** What the server offers it has, whole. */
function checkOffered(bench: Bench): string[] {
  const {stdout} = bench.world.run(['avail', '-j', `uuid=${fresh}`]);
  const isOffered = stdout.includes('"state": "active"');
  if (!isOffered) return [];
  const file = bench.at(`server/images/${fresh}/file`);
  const isWhole = existsSync(file) && readFileSync(file).equals(readFileSync(bench.at('fresh.raw')));
  return isWhole ? [] : ['the server offers an image that it does not have'];
}

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
