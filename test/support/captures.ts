/**
 * Records of importctl (test/oracle/capture.sh) beside those of the real program. Both are brought to one form first,
 * without what differs from run to run and from machine to machine; test/oracle/compare.py then judges.
 */
import {execFile, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';

const oracle = path.join(import.meta.dirname, '../oracle');
const sectionHead = /^\[(stdout|stderr|exit|files|http)\]/;

/** Ids of the records whose command line runs importctl: `slow` of cases.sh does, too. */
export function importctlCases(records: string): string[] {
  return readdirSync(records)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -'.txt'.length))
    .filter((id) => !/^(rd-)?gen-/.test(id))
    .filter((id) => /\bimportctl\b|\bslow /.test(firstLine(path.join(records, `${id}.txt`))))
    .sort();
}

function firstLine(file: string): string {
  return readFileSync(file, 'utf8').split('\n', 1)[0] ?? '';
}

export interface CaptureRun {
  suite: string;
  cases: string;
  /** In place of importctl, or of the service that the real importctl asks. */
  program: {importctl: string} | {importd: string};
  ids: readonly string[];
  fileSystem: string;
  output: string;
}

/** Cases wait more than they compute. */
const parallelRuns = 3;

/** Records the cases of `ids` with `program` in place of importctl; the folder `output` must exist. */
export async function capture({ids, ...run}: CaptureRun): Promise<void> {
  const shares = Array.from({length: parallelRuns}, (_, share) =>
    ids.filter((_id, index) => index % parallelRuns === share),
  );
  await Promise.all(shares.filter((share) => share.length > 0).map((share) => captureShare(share, run)));
}

async function captureShare(
  ids: readonly string[],
  {suite, cases, program, fileSystem, output}: Omit<CaptureRun, 'ids'>,
): Promise<void> {
  const escaped = ids.map((id) => id.replaceAll('.', '\\.'));
  const isClient = 'importctl' in program;
  const script = isClient ? path.join(oracle, 'cases-of-ours.sh') : cases;
  await promisify(execFile)('bash', [path.join(oracle, 'capture.sh'), suite, output, script], {
    env: {
      ...process.env,
      IMGCTL_CASES: cases,
      ...(isClient ? {CAPTURE_IMPORTCTL: program.importctl} : {CAPTURE_IMPORTD: program.importd}),
      CAPTURE_ONLY: `^(${escaped.join('|')})$`,
      CAPTURE_FS: fileSystem,
    },
  });
}

/**
 * Sections that differ, as `ID: SECTION`. A section that is as any of the references has it does not; a case that is
 * in none of them is left out.
 */
export function differences(
  ours: string,
  references: readonly string[],
  {ids, scratch}: {ids: readonly string[]; scratch: string},
): string[] {
  const left = normalized(ours, ids, path.join(scratch, 'ours'));
  const found = references.map((reference, index) => {
    const right = normalized(reference, ids, path.join(scratch, `reference-${index}`));
    const judge = spawnSync('python3', [path.join(oracle, 'compare.py'), right, left], {encoding: 'utf8'});
    if (judge.status !== 0 && judge.status !== 1) throw new Error(`compare.py failed: ${judge.stderr}`);
    return [...judge.stdout.matchAll(/^(\S+): (?:(\w+) differs|no record)$/gm)].map(
      ([, id, section]) => `${id}: ${section ?? 'record'}`,
    );
  });
  const [first = [], ...others] = found;
  return first.filter((line) =>
    others.every((other, index) => other.includes(line) || !hasRecord(references[index + 1], line)),
  );
}

function hasRecord(folder: string | undefined, line: string): boolean {
  return folder !== undefined && existsSync(path.join(folder, `${line.split(': ')[0]}.txt`));
}

function normalized(records: string, ids: readonly string[], output: string): string {
  mkdirSync(output, {recursive: true});
  for (const id of ids) {
    const file = path.join(records, `${id}.txt`);
    if (existsSync(file))
      writeFileSync(path.join(output, `${id}.txt`), normalize(readFileSync(file, 'utf8')));
  }
  return output;
}

/** What a record says whoever ran it, in an order that does not depend on what was faster. */
export function normalize(record: string): string {
  const lines: string[] = [];
  let section: string[] = [];
  for (const line of withoutChance(masked(record)).split('\n')) {
    if (!sectionHead.test(line)) {
      section.push(line);
      continue;
    }
    lines.push(...section.sort(), line);
    section = [];
  }
  return [...lines, ...section.sort()].join('\n');
}

/** A pull that fails does not wait for the files beside the image, so it is chance what it says of them. */
function withoutChance(record: string): string {
  if (record.includes('Created new local image')) return record;
  return record
    .replace(/^HTTP request to \S+\.(nspawn|roothash|roothash\.p7s|verity) failed with code 404\.\n/gm, '')
    .replace(/^.* could not be retrieved, proceeding without\.\n/gm, '');
}

function masked(record: string): string {
  return (
    record
      // The sizes of compressed trees, and so the ETags of this server, hang on the versions of tar and xz.
      .replace(/\\x22[0-9a-f]{16}\\x22|"[0-9a-f]{16}"/g, '<ETAG>')
      .replace(/^(Downloading )\S+( for \S*\/tree\.tar\S*)$/gm, '$1<SIZE>$2')
      // The list is among the files it lists, or not, as two processes of cases.sh raced.
      .replace(/^(Downloading|Acquired) \S+( for \S*\/SHA256SUMS\.)$/gm, '$1 <SIZE>$2')
      .replace(/imgctl-capture\\x2e\w+/g, '<SCRATCH>')
      // How far a transfer was when it was looked at.
      .replace(/\b\d+%/g, '<N>%')
      .replace(/("progress" ?: ?)\d+/g, '$1<N>')
      .replace(/ +/g, ' ')
      .replace(/^(Got|Imported|Exported) <N>%.*\n/gm, '')
      // A daemon goes on counting between transfers.
      .replace(/^(Enqueued transfer job )\d+/gm, '$1<N>')
      // The host's own directory, of which not every file system knows when it was made.
      .replace(/^( ?machine \.host .* ro) .*$/gm, '$1')
      .replace(/(\.host",\n(?:.*\n){3}\s*"crtime" : ).*/g, '$1<USEC>,')
  );
}
