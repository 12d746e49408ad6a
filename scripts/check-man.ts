/**
 * Compares the manual with the commands in both directions: every command has a page, every page a command, every
 * option of --help stands in the page and the other way round, and imgctl(1) lists every command. Then has the pages
 * rendered without warnings.
 */

import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {exitStatusOf} from '../src/cli/exit-codes.ts';
import {flagTable} from '../src/cli/fast-path.ts';
import {globalFlags} from '../src/cli/flags.ts';
import {commands} from '../src/commands/index.ts';
import {errorCodes, ImgctlError} from '../src/errors.ts';

const manual = path.join(import.meta.dirname, '../man');
const problems: string[] = [];

/** Long options that a page describes: `.It Fl Fl name` in its OPTIONS list. */
function optionsOf(page: string): Set<string> {
  return new Set([...page.matchAll(/^\.It .*?Fl Fl ([a-zA-Z-]+)/gm)].map((match) => match[1] ?? ''));
}

/** Every code has its entry, which is an anchor in HTML, with its exit status; and no entry is of nothing. */
function checkErrors(): void {
  const page = 'imgctl-errors.7';
  const list = readFileSync(path.join(manual, page), 'utf8').split(/^\.El$/m)[0] ?? '';
  const entries = new Map(
    list
      .split(/^\.It Ic /m)
      .slice(1)
      .map((entry) => [/^\w+/.exec(entry)?.[0] ?? '', entry]),
  );
  for (const code of errorCodes) {
    const entry = entries.get(code);
    const status = exitStatusOf(new ImgctlError(code, ''));
    const told = /^Exit status (\d+)/m.exec(entry ?? '')?.[1] ?? '1';
    if (entry === undefined) problems.push(`man/${page}: code ${code} is missing`);
    else if (told !== String(status)) problems.push(`man/${page}: ${code} has exit status ${status}`);
    entries.delete(code);
  }
  entries.delete('MultiError');
  for (const code of entries.keys()) problems.push(`man/${page}: there is no code ${code}`);
}

const pages = new Set(readdirSync(manual).filter((name) => /\.\d$/.test(name)));
for (const id of commands.ids('imgctl')) {
  const name = `imgctl-${id.replaceAll(' ', '-')}.1`;
  if (!pages.delete(name)) {
    problems.push(`${id}: no page man/${name}`);
    continue;
  }
  const page = readFileSync(path.join(manual, name), 'utf8');
  const definition = await commands.load(id);
  const shown = Object.entries(definition.flags).filter(([, flag]) => !flag.hidden);
  const wanted = new Set(shown.filter(([, flag]) => !flag.charOnly).map(([name]) => name));
  for (const [, {char, charOnly}] of shown)
    if (charOnly && !new RegExp(`^\\.It .*\\bFl ${char}\\b`, 'm').test(page))
      problems.push(`man/${name}: option -${char} is missing`);
  const known = new Set(Object.keys(flagTable(definition)));
  const found = optionsOf(page);
  for (const flag of wanted) if (!found.has(flag)) problems.push(`man/${name}: option --${flag} is missing`);
  for (const flag of found)
    if (!known.has(flag)) problems.push(`man/${name}: option --${flag} does not exist`);
  for (const section of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', 'EXAMPLES', 'SEE ALSO']) {
    if (!page.includes(`.Sh ${section}\n`)) problems.push(`man/${name}: section ${section} is missing`);
  }
}
const general = 'imgctl.1';
if (pages.delete(general)) {
  const page = readFileSync(path.join(manual, general), 'utf8');
  const found = optionsOf(page);
  for (const id of commands.ids('imgctl'))
    if (!page.includes(`.It Xr imgctl-${id.replaceAll(' ', '-')} 1\n`))
      problems.push(`man/${general}: command ${id} is missing`);
  for (const flag of Object.keys(globalFlags))
    if (!found.has(flag)) problems.push(`man/${general}: option --${flag} is missing`);
} else problems.push('no page man/imgctl.1');
for (const page of pages)
  if (page.startsWith('imgctl-') && page.endsWith('.1')) problems.push(`man/${page}: no such command`);

checkErrors();

for (const name of readdirSync(manual).filter((entry) => /\.\d$/.test(entry))) {
  const file = path.join(manual, name);
  if (existsSync('/usr/bin/mandoc')) {
    const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', file], {encoding: 'utf8'});
    if (lint.status !== 0) problems.push(lint.stdout.trim());
  }
  const rendered = spawnSync('man', ['--warnings', '-l', file], {
    encoding: 'utf8',
    env: {...process.env, MANWIDTH: '80', MANPAGER: 'cat'},
  });
  if (rendered.status !== 0 || rendered.stderr.trim() !== '')
    problems.push(`man/${name}: ${rendered.stderr.trim()}`);
}

if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n`);
  process.exit(1);
}
process.stdout.write('manual and commands agree\n');
