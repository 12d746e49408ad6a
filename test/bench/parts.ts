/** What the programs beside the bench itself found, as they left it in files: start-up, catalog, serving, scaling. */
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../../src/errors.ts';
import {type RefreshResult, refreshTable} from './refresh-table.ts';
import {type ScalingResult, scalingPage} from './scaling-page.ts';
import {type ServeResult, serveMissed, serveTable} from './serve-table.ts';
import {type StartResult, startsMissed, startsTable} from './starts.ts';

export interface Parts {
  startUp?: StartResult[];
  catalog?: {refreshes: RefreshResult[]; queries: StartResult[]};
  serve?: ServeResult[];
  scaling?: ScalingResult;
}

/** A part that was not measured, or whose program failed, is not there. */
export function readParts(directory: string | undefined): Parts {
  if (directory === undefined) return {};
  const entries = ['startUp', 'catalog', 'serve', 'scaling'].flatMap((name) => {
    try {
      return [[name, JSON.parse(readFileSync(path.join(directory, `${name}.json`), 'utf8'))]];
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  });
  return Object.fromEntries(entries);
}

function missedLine(names: readonly string[]): string {
  return `Above their goals: ${names.length === 0 ? 'none' : names.join('; ')}.`;
}

export function partsPage({startUp, catalog, serve, scaling}: Parts): string {
  const sections: string[] = [];
  if (startUp)
    sections.push(`## Start-up

Commands that only read, launcher included, by turns with an empty start of the same Node (a CommonJS file without a line); medians.

${startsTable(startUp)}

${missedLine(startsMissed(startUp))}`);
  if (catalog)
    sections.push(`## Catalog

One source with many images. "Asked again": nothing has changed there.

${refreshTable(catalog.refreshes)}

Twenty images or fewer found among them, sorted and shown, without asking the source:

${startsTable(catalog.queries)}

${missedLine(startsMissed(catalog.queries))}`);
  if (serve)
    sections.push(`## Serving

A file of 64 MiB to clients on loopback, by turns with nginx as Debian sets it up (a worker for each processor, sendfile).

${serveTable(serve)}

${missedLine(serveMissed(serve))}`);
  if (scaling) sections.push(scalingPage(scaling));
  return sections.map((section) => `\n${section}\n`).join('');
}
