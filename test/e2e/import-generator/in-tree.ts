/** Both generators as programs, one after the other, inside the tree of systemd 262, on whatever a script prepared for them. */

import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync, realpathSync} from 'node:fs';
import path from 'node:path';
import {oracle} from './real-generator.ts';

const root = path.join(import.meta.dirname, '../../..');

/** What Node needs and the tree lacks goes into the tree. */
const script = `
cd "$1"; shift
ldd "$1" | awk '$2 == "=>" {print $3}' | while read -r library; do
  [ -e "$ORACLE_ROOT$library" ] || cp -L --parents "$library" "$ORACLE_ROOT/"
done
shift
in-tree sh -euc '
  mkdir enc creds
  eval "$1" >/dev/null 2>&1
  export SYSTEMD_IN_INITRD=0 IMGCTL_GENERATOR_FORM=varlink SYSTEMD_LOG_TARGET=console
  export CREDENTIALS_DIRECTORY=$PWD/creds ENCRYPTED_CREDENTIALS_DIRECTORY=$PWD/enc SYSTEMD_PROC_CMDLINE="$2"
  run() {
    mkdir $1; cd $1; eval "$3"; cd ..
    status=0; $2 $PWD/$1 2>$1.messages || status=$?; echo $status >$1.status
  }
  run real /usr/lib/systemd/system-generators/systemd-import-generator "$3"
  run ours "$4" "$3"
' sh "$@"
`;

export interface Side {
  status: string;
  /** The name of the output directory is taken out. */
  messages: string;
  /** Paths of everything in the output directory. */
  entries: string[];
}

export interface Preparation {
  /** Run beside the empty directories creds and enc, which become those of the credentials. */
  credentials?: string;
  commandLine?: string;
  /** Run in each output directory. */
  output?: string;
}

/** Works below `directory`, which has to be empty. */
export function runBoth(directory: string, preparation: Preparation): {real: Side; ours: Side} {
  const modules = realpathSync(path.join(root, 'node_modules'));
  const shares = [directory, root, modules].flatMap((each) => ['--share', each]);
  const {credentials = ':', commandLine = '', output = ':'} = preparation;
  const program = path.join(root, 'bin/systemd-import-generator');
  const words = [directory, path.join(modules, 'node/bin/node'), credentials, commandLine, output, program];
  const run = path.join(oracle, 'run.sh');
  execFileSync(run, ['--no-importd', ...shares, 'sid', '--', 'bash', '-euc', script, 'bash', ...words]);
  const sideOf = (name: string): Side => ({
    status: readFileSync(path.join(directory, `${name}.status`), 'utf8'),
    messages: readFileSync(path.join(directory, `${name}.messages`), 'utf8').replaceAll(`/${name}/`, '/'),
    entries: readdirSync(path.join(directory, name), {recursive: true, encoding: 'utf8'}).sort(),
  });
  return {real: sideOf('real'), ours: sideOf('ours')};
}
