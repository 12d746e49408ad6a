/** What is measured: the same work by imgctl, by importd's helper programs of systemd 262 and 257, and by a plain tool. */
import {execFileSync} from 'node:child_process';
import {cpSync, renameSync, statSync, truncateSync} from 'node:fs';
import path from 'node:path';
import type {Command} from './measure.ts';
import type {Target} from './target.ts';

export type Peer = 'imgctl' | 'sid' | 'trixie' | 'tool';

export interface Row {
  name: string;
  /** The largest ratio of wall times, imgctl to importd 262 (or the tool, if there is no importd), that is good enough. */
  goal: number;
  /** The file that all sides read; absent where `prepare` writes what is read. */
  input?: string;
  /** Puts in place what the work starts from; not timed. */
  prepare?(target: Target): void;
  commands: Partial<Record<Peer, (target: Target) => Command>>;
  /** @throws Error when the work was not done */
  check(target: Target, peer: Peer): void;
}

export interface Places {
  data: string;
  /** Root of the mounted tree of a suite. */
  tree(suite: 'sid' | 'trixie'): string;
  imgctl: string;
  /** Address of a server over the data. */
  url: string;
}

/** Two goals: of import and of pull. `tool` decodes to standard output; the limit of what a program here can do. */
const rawFiles: readonly [name: string, file: string, goals: [number, number], tool: string][] = [
  ['raw', 'disk.raw', [0.5, 0.5], 'cat'],
  ['gzip', 'disk.raw.gz', [0.5, 0.5], 'pigz -dc'],
  ['xz, one block', 'disk-1b.raw.xz', [0.95, 0.8], 'xz -dc'],
  ['xz, many blocks', 'disk-mt.raw.xz', [0.55, 0.5], 'xz -dc -T0'],
  ['zstd', 'disk.raw.zst', [0.55, 0.5], 'zstd -qdc'],
  ['bzip2', 'disk.raw.bz2', [0.6, 0.5], 'lbzip2 -dc'],
  ['qcow2', 'disk.qcow2', [0.5, 0.5], 'qemu-img'],
  ['qcow2 zlib', 'disk-zlib.qcow2', [0.6, 0.5], 'qemu-img'],
];

const tarFiles: readonly [name: string, file: string, goal: number, tool: string][] = [
  ['plain', 'rootfs.tar', 0.9, 'cat'],
  ['gzip', 'rootfs.tar.gz', 0.6, 'pigz -dc'],
  ['xz', 'rootfs.tar.xz', 0.8, 'xz -dc'],
  ['zstd', 'rootfs.tar.zst', 0.6, 'zstd -qdc'],
];

interface ExportFormat {
  format: string;
  suffix: string;
  tool: string;
  /** As much of the disk and of the tree as is packed; all when absent. */
  part?: {diskBytes: number; tree: string};
}

const exportFormats: readonly ExportFormat[] = [
  {format: 'gzip', suffix: 'gz', tool: 'pigz -c'},
  // The whole disk would take importd ten minutes.
  {format: 'xz', suffix: 'xz', tool: 'xz -c -T0', part: {diskBytes: 64 * 1024 ** 2, tree: './usr/bin'}},
  {format: 'zstd', suffix: 'zst', tool: 'zstd -qc -T0'},
];

/** Runs a constant script with its words as arguments. */
function shell(script: string, ...words: string[]): Command {
  return {argv: ['bash', '-o', 'pipefail', '-c', script, 'bash', ...words]};
}

function diskByTool(tool: string, file: string, target: Target): Command {
  const made = path.join(target.machines, 'o.raw');
  if (tool === 'qemu-img') return {argv: ['qemu-img', 'convert', '-m', '8', '-O', 'raw', file, made]};
  if (tool === 'cat') return {argv: ['cp', '--sparse=always', file, made]};
  return shell(`${tool} -- "$1" | dd of="$2" bs=1M iflag=fullblock conv=sparse status=none`, file, made);
}

const treeWords = ['--numeric-owner', '--xattrs', '--xattrs-include=*'];

function treeByTool(file: string, target: Target): Command {
  return shell(
    'cd -- "$1" && shift && mkdir o && tar -C o "$@"',
    target.machines,
    ...treeWords,
    ...['-xpf', file],
  );
}

/** Fetched once, and copied as whoever keeps what was fetched has to. */
function pulledDiskByTool(tool: string, url: string, {machines}: Target): Command {
  const decode =
    tool === 'qemu-img'
      ? 'curl -sf -o k "$2" && qemu-img convert -m 8 -O raw k kept'
      : `curl -sf "$2" | ${tool} | dd of=kept bs=1M iflag=fullblock conv=sparse status=none`;
  return shell(`cd -- "$1" && ${decode} && cp --sparse=always kept o.raw`, machines, url);
}

function pulledTreeByTool(tool: string, url: string, {machines}: Target): Command {
  return shell(
    `cd -- "$1" && url=$2 && shift 2 && mkdir kept && curl -sf "$url" | ${tool} | tar -C kept "$@" && cp -a kept o`,
    ...[machines, url, ...treeWords, '-xpf', '-'],
  );
}

const helpers = '/usr/lib/systemd';

export function makeRows(places: Places): Row[] {
  const {data, url} = places;
  const imgctl = (target: Target, ...argv: string[]): Command => ({
    argv: [places.imgctl, '--root', target.directory, ...argv],
  });
  const helper = (suite: 'sid' | 'trixie', program: string, ...argv: string[]): Command => ({
    argv: ['chroot', places.tree(suite), path.join(helpers, program), ...argv],
  });
  /** systemd 257 has no zstd. */
  const suitesFor = (file: string): ('sid' | 'trixie')[] =>
    file.endsWith('.zst') ? ['sid'] : ['sid', 'trixie'];
  const both = (file: string, program: string, ...argv: string[]): Row['commands'] =>
    Object.fromEntries(suitesFor(file).map((suite) => [suite, () => helper(suite, program, ...argv)]));
  const sameDisk = (target: Target): void => {
    execFileSync('cmp', [path.join(data, 'disk.raw'), path.join(target.machines, 'o.raw')]);
  };
  const sameTree = (target: Target): void => {
    execFileSync('tar', [
      '--compare',
      '--numeric-owner',
      '-f',
      path.join(data, 'rootfs.tar'),
      '-C',
      path.join(target.machines, 'o'),
    ]);
  };
  const pull = (type: 'raw' | 'tar', file: string): Row['commands'] => ({
    imgctl: (target) =>
      imgctl(
        target,
        `pull-${type}`,
        '-m',
        '-q',
        '--verify=checksum',
        '--keep-download=yes',
        `${url}/${file}`,
        'o',
      ),
    ...both(file, 'systemd-pull', type, '--verify=checksum', '--keep-download=yes', `${url}/${file}`, 'o'),
  });
  const importOf = (type: 'raw' | 'tar', file: string): Row['commands'] => ({
    imgctl: (target) => imgctl(target, `import-${type}`, '-m', '-q', path.join(data, file), 'o'),
    ...both(file, 'systemd-import', type, path.join(data, file), 'o'),
  });

  const rows: Row[] = [];
  for (const [name, file, [goal], tool] of rawFiles) {
    const commands = {
      ...importOf('raw', file),
      tool: (target: Target) => diskByTool(tool, path.join(data, file), target),
    };
    rows.push({name: `import-raw: ${name}`, input: path.join(data, file), goal, commands, check: sameDisk});
  }
  const zstdFile = 'disk-zstd.qcow2';
  rows.push({
    name: 'import-raw: qcow2 zstd',
    input: path.join(data, zstdFile),
    goal: 1.5, // importd refuses it: against the tool
    commands: {
      imgctl: (target) => imgctl(target, 'import-raw', '-m', '-q', path.join(data, zstdFile), 'o'),
      tool: (target) => diskByTool('qemu-img', path.join(data, zstdFile), target),
    },
    check: sameDisk,
  });
  for (const [name, file, [, goal], tool] of rawFiles) {
    const commands = {
      ...pull('raw', file),
      tool: (target: Target) => pulledDiskByTool(tool, `${url}/${file}`, target),
    };
    rows.push({name: `pull-raw: ${name}`, input: path.join(data, file), goal, commands, check: sameDisk});
  }
  for (const [name, file, goal] of tarFiles) {
    const commands = {
      ...importOf('tar', file),
      tool: (target: Target) => treeByTool(path.join(data, file), target),
    };
    rows.push({name: `import-tar: ${name}`, input: path.join(data, file), goal, commands, check: sameTree});
  }
  for (const [name, file, goal, tool] of tarFiles) {
    const commands = {
      ...pull('tar', file),
      tool: (target: Target) => pulledTreeByTool(tool, `${url}/${file}`, target),
    };
    rows.push({name: `pull-tar: ${name}`, input: path.join(data, file), goal, commands, check: sameTree});
  }
  for (const type of ['tar', 'raw'] as const)
    for (const format of exportFormats) rows.push(exportRow(places, type, format, {imgctl, helper}));
  return rows;
}

interface Calls {
  imgctl(target: Target, ...argv: string[]): Command;
  helper(suite: 'sid' | 'trixie', program: string, ...argv: string[]): Command;
}

function exportRow(
  {data}: Places,
  type: 'tar' | 'raw',
  {format, suffix, tool, part}: ExportFormat,
  {imgctl, helper}: Calls,
): Row {
  // Below the class directory, because that is the one place of the target which the trees see too.
  const seen = `/var/lib/machines/.out.${suffix}`;
  const made = (target: Target): string => path.join(target.machines, `.out.${suffix}`);
  const original = path.join(data, type === 'raw' ? 'disk.raw' : 'rootfs.tar');
  const suites = suffix === 'zst' ? (['sid'] as const) : (['sid', 'trixie'] as const);
  return {
    name: `export-${type}: ${format}`,
    goal: 0.6,
    prepare({machines}) {
      if (type === 'raw') {
        cpSync(original, path.join(machines, 'o.raw'));
        if (part) truncateSync(path.join(machines, 'o.raw'), part.diskBytes);
      } else {
        execFileSync('mkdir', [path.join(machines, 'o')]);
        execFileSync('tar', [
          '-C',
          path.join(machines, 'o'),
          '--numeric-owner',
          '--xattrs',
          '--xattrs-include=*',
          '-xpf',
          original,
          ...(part ? [part.tree] : []),
        ]);
      }
    },
    commands: {
      imgctl: (target) =>
        imgctl(target, `export-${type}`, '-m', '-q', `--format=${format}`, 'o', made(target)),
      ...Object.fromEntries(
        suites.map((suite) => [
          suite,
          () => helper(suite, 'systemd-export', type, `--format=${format}`, 'o', seen),
        ]),
      ),
      tool: (target) =>
        type === 'raw'
          ? shell(`${tool} <"$1" >"$2"`, path.join(target.machines, 'o.raw'), made(target))
          : shell(
              `tar -C "$1" --numeric-owner --xattrs -c . | ${tool} >"$2"`,
              path.join(target.machines, 'o'),
              made(target),
            ),
    },
    check(target) {
      const programs: Readonly<Record<string, string>> = {gz: 'gzip', xz: 'xz', zst: 'zstd'};
      const read = `${programs[suffix]} -dc ${made(target)}`;
      const disk = part ? `<(head -c ${part.diskBytes} ${original})` : original;
      if (type === 'raw') execFileSync('bash', ['-c', `set -o pipefail; ${read} | cmp - ${disk}`]);
      else
        execFileSync('bash', [
          '-c',
          `set -o pipefail; ${read} | tar --compare --numeric-owner -C ${path.join(target.machines, 'o')} -f -`,
        ]);
      const plainBytes = part?.diskBytes ?? statSync(original).size;
      if (statSync(made(target)).size > plainBytes) throw new Error(`${made(target)} is not compressed`);
      renameSync(made(target), `${made(target)}.checked`);
    },
  };
}
