/** A container whose first process is the real systemd, with our generator or our bus service installed in it. */

import {execFileSync, spawnSync} from 'node:child_process';
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {BootReport} from '../../../src/actions/boot-report.ts';
import {oracle} from './real-generator.ts';

/** This checkout, as the container sees it. */
const root = '/imgctl';
export const serverUrl = 'http://127.0.0.1:8080';
export const sourceUrl = 'http://127.0.0.1:8081';
/** For a busy machine: a boot takes some seconds. */
export const bootLimitSeconds = 240;

/** Runs when the boot has got as far as the target that wants the images, whatever became of them. */
const reportUnit = (target: string): string => `[Unit]
Wants=${target}
After=${target}
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=-/bin/sh /report.sh
`;

/** Runs a script of a test when the system is up. */
const scriptUnit = `[Unit]
Wants=multi-user.target
After=multi-user.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=-/bin/bash -c "bash /script.sh >/out/log 2>&1; true"
`;

/** What \`systemctl enable imgctl-importd.service\` makes in /etc/systemd/system. */
const enablingLinks = {
  'dbus-org.freedesktop.import1.service': 'imgctl-importd.service',
  'systemd-importd.service': 'imgctl-importd.service',
  'systemd-importd.socket': 'imgctl-importd.socket',
  'sockets.target.wants/imgctl-importd.socket': 'imgctl-importd.socket',
};

const reportScript = `
${root}/bin/imgctl boot-report -j >/out/report 2>/out/complaints
cd /
find var/lib/machines var/lib/portables var/lib/extensions run/machines run/confexts -type f ! -path '*/.*' -exec sha256sum -z {} + >/out/sums 2>/dev/null
journalctl --sync
journalctl -b -o cat >/out/journal
`;

/** `imgctl serve` over /srv/images, up before any import. */
const sourceUnit = `[Unit]
DefaultDependencies=no
Wants=imports-pre.target
Before=imports-pre.target

[Service]
ExecStart=${root}/bin/imgctl serve --listen 127.0.0.1:8081 /srv/images
ExecStartPost=/bin/bash -c "until : >/dev/tcp/127.0.0.1/8081; do sleep 0.1; done"
`;

export interface BootSetup {
  suite: string;
  words: readonly string[];
  credential?: string;
  configuration?: object;
  /** Arguments before those that systemd gives. */
  generatorOptions?: readonly string[];
  /** The tree passes for an initrd. */
  inInitrd?: boolean;
  /** The target whose start shows that the images were waited for. */
  target: string;
}

export class BootedTree {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'imgctl-booted.'));

  /** Path of a file in the tree, its folder made. */
  inTree(...parts: string[]): string {
    return this.#made('tree', parts);
  }

  /** Path of a file that the server offers. */
  onServer(name: string): string {
    return this.#made('www', [name]);
  }

  #made(place: string, parts: readonly string[]): string {
    const file = path.join(this.directory, place, ...parts);
    mkdirSync(path.dirname(file), {recursive: true});
    return file;
  }

  /** Serves an image at `sourceUrl` during the boot. */
  offerImage(manifest: {uuid: string}, content: Buffer): void {
    const folder = `srv/images/images/${manifest.uuid}`;
    writeFileSync(this.inTree(folder, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(this.inTree(folder, 'file'), content);
    writeFileSync(this.inTree('etc/systemd/system/image-source.service'), sourceUnit);
    const link = this.inTree('etc/systemd/system/sysinit.target.wants/image-source.service');
    symlinkSync('../image-source.service', link);
  }

  /** Puts the files of share/ where imgctl-importd(8) says, where systemd has files of its own. */
  installService(): void {
    const share = path.join(import.meta.dirname, '../../../share');
    for (const scope of ['system', 'user'])
      cpSync(path.join(share, 'systemd', scope), this.inTree('usr/lib/systemd', scope), {recursive: true});
    const policy = 'dbus-1/system.d/imgctl-importd.conf';
    cpSync(path.join(share, policy), this.inTree('usr/share', policy));
    symlinkSync(path.join(root, 'bin/imgctl-importd'), this.inTree('usr/bin/imgctl-importd'));
  }

  /** The links in /etc/systemd/system that make the service enabled. */
  enablingLinks(): [name: string, target: string][] {
    return Object.entries(enablingLinks).map(([name, unit]) => [name, `/usr/lib/systemd/system/${unit}`]);
  }

  /** The installed service is enabled before the boot. */
  enableService(): void {
    for (const [name, target] of this.enablingLinks())
      symlinkSync(target, this.inTree('etc/systemd/system', name));
  }

  /** Boots, runs a script in there, and ends. */
  runScript(suite: string, script: string): Booted {
    writeFileSync(this.inTree('etc/systemd/system/script.service'), scriptUnit);
    writeFileSync(this.inTree('script.sh'), script);
    return this.#start(suite, ['systemd.unit=script.service']);
  }

  boot(setup: BootSetup): Booted {
    const {suite, words, credential, configuration = {}, generatorOptions = []} = setup;
    const generator = this.inTree('etc/systemd/system-generators/systemd-import-generator');
    const program = path.join(root, 'bin/systemd-import-generator');
    if (generatorOptions.length === 0) symlinkSync(program, generator);
    else {
      const script = `#!/bin/sh\nexec ${program} ${generatorOptions.join(' ')} "$@"\n`;
      writeFileSync(generator, script, {mode: 0o755});
    }
    writeFileSync(this.inTree('etc/systemd/system/report.service'), reportUnit(setup.target));
    writeFileSync(this.inTree('report.sh'), reportScript);
    writeFileSync(this.inTree('etc/imgctl/config.json'), JSON.stringify(configuration));
    if (credential !== undefined)
      writeFileSync(this.#made('credentials', ['import.pull']), credential, {mode: 0o600});
    if (setup.inInitrd) writeFileSync(this.inTree('etc/initrd-release'), '');
    return this.#start(suite, [`${setup.inInitrd ? 'rd.' : ''}systemd.unit=report.service`, ...words]);
  }

  #start(suite: string, words: readonly string[]): Booted {
    const script = path.join(oracle, 'boot.sh');
    const env = {...process.env, BOOT_LIMIT: String(bootLimitSeconds)};
    const {status} = spawnSync(script, [suite, this.directory, ...words], {encoding: 'utf8', env});
    const console = readFileSync(path.join(this.directory, 'console'), 'utf8');
    if (status !== 0) throw new Error(`boot.sh ended with ${status}: ${console}`);
    return new Booted(path.join(this.directory, 'out'));
  }

  end(): void {
    spawnSync('chattr', ['-R', '-f', '-i', this.directory]);
    rmSync(this.directory, {recursive: true, force: true});
  }
}

export class Booted {
  readonly #out: string;

  constructor(out: string) {
    this.#out = out;
  }

  read(name: string): string {
    return readFileSync(path.join(this.#out, name), 'utf8');
  }

  report(): BootReport {
    return JSON.parse(this.read('report'));
  }

  /** `PATH` → SHA-256 of every visible file below the image directories. */
  sums(): Map<string, string> {
    const lines = this.read('sums').split('\0').filter(Boolean);
    return new Map(lines.map((line): [string, string] => [line.slice(66), line.slice(0, 64)]));
  }
}

/** True where the container of test/oracle/boot.sh can be made. */
export function canBoot(suite: string): boolean {
  const trees = process.env.IMGCTL_ORACLE_DIR ?? '/var/cache/imgctl-oracle';
  if (process.geteuid?.() !== 0) return false;
  try {
    readFileSync(path.join(trees, `${suite}.version`));
    return execFileSync('findmnt', ['-n', '-t', 'cgroup2'], {encoding: 'utf8'}) !== '';
  } catch {
    return false;
  }
}
