/** `sources -e`: the list as lines of text, changed in an editor (spec/imgadm.md §5). */

import {ImgctlError} from '../errors.ts';
import {normaliseUrl} from '../imgapi/source-url.ts';
import type {SourceSettings} from '../sources/source.ts';
import {sourceType} from '../sources/source-type.ts';
import {isSameSource, type SourcesContext, sourceText} from './sources.ts';

/** What came of a visit to the editor. */
export type EditorOutcome =
  | {text: string; file: string; discard(): Promise<void>}
  /** Exit status or signal of an editor that failed. */
  | {failed: string};

/** Shows the text to the user; the file stays until it is discarded. */
export type TextEditor = (text: string) => Promise<EditorOutcome>;

const maxUrlWidth = 50;
const typeWidth = 6;

const explanation = `
# Image sources, one a line, in the order in which they are asked:
#
#     URL  TYPE  OPTIONS
#
# TYPE is imgapi, which may be left out, or dsapi. The one OPTION is "insecure":
# certificates are not checked. Text after "#" and blank lines do not count.
`;

/**
 * Has the list edited; new sources are asked first, unless told not to. Nothing is changed unless all of the text is
 * understood and all new sources answered; the text is then kept, and its file named.
 */
export async function editSources(
  context: SourcesContext,
  edit: TextEditor,
  options: {skipPing: boolean},
): Promise<SourceSettings[]> {
  const before = await context.store.read();
  const shown = editableText(before);
  const outcome = await edit(shown);
  if ('failed' in outcome) {
    context.report.notice(`Error editing image sources: ${outcome.failed} (ignoring)`);
    return before;
  }
  if (outcome.text === shown) {
    context.report.step('Image sources unchanged');
    await outcome.discard();
    return before;
  }
  try {
    const after = parseSources(outcome.text, before);
    const changed = await applyEdit(context, {before, after}, options);
    await outcome.discard();
    return changed;
  } catch (error) {
    context.report.warn(`nothing was changed; your text is kept in "${outcome.file}"`);
    throw error;
  }
}

async function applyEdit(
  context: SourcesContext,
  {before, after}: {before: SourceSettings[]; after: SourceSettings[]},
  options: {skipPing: boolean},
): Promise<SourceSettings[]> {
  if (isSameList(before, after)) {
    context.report.step('Image sources unchanged');
    return before;
  }
  const added = after.filter((source) => !before.some((other) => isSameSource(source, other)));
  const deleted = before.filter((source) => !after.some((other) => isSameSource(source, other)));
  const opened = await Promise.all(added.map((source) => context.open(source)));
  if (!options.skipPing) await Promise.all(opened.map((source) => source.ping({signal: context.signal})));
  await context.store.change((current) => {
    if (isSameList(current, before)) return after;
    throw new ImgctlError('ConfigError', 'the image sources were changed by someone else meanwhile', {
      retryable: true,
    });
  });
  if (deleted.length === 0) context.report.step('Reordered image sources');
  for (const source of deleted) context.report.step(`Deleted ${sourceText(source)}`);
  for (const source of added) context.report.step(`Added ${sourceText(source)}`);
  return after;
}

/** A line each: URL and type padded, options behind; then what it is about, as comments. */
export function editableText(sources: readonly SourceSettings[]): string {
  const width = Math.min(Math.max(0, ...sources.map((source) => source.url.length)), maxUrlWidth);
  const lines = sources.map(({url, type, insecure}) => {
    return `${url.padEnd(width)}  ${type.padEnd(typeWidth)}  ${insecure ? 'insecure' : ''}`.trimEnd();
  });
  return `${lines.map((line) => `${line}\n`).join('')}${explanation}`;
}

/**
 * The sources of an edited text, none twice. What a line cannot say, name, channel and who asks, is taken over from the source
 * of that URL and type which was there before.
 */
export function parseSources(text: string, before: readonly SourceSettings[]): SourceSettings[] {
  const sources: SourceSettings[] = [];
  for (const line of text.split('\n')) {
    const words = line
      .replace(/#.*/, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) continue;
    const source = parseLine(words, before);
    if (!sources.some((other) => isSameSource(other, source))) sources.push(source);
  }
  return sources;
}

function parseLine(words: readonly string[], before: readonly SourceSettings[]): SourceSettings {
  const [url = '', typeText = 'imgapi', optionText = '', extra] = words;
  if (extra !== undefined) throw new ImgctlError('Usage', `unexpected text in image sources: "${extra}"`);
  const type = sourceType(typeText, url);
  const options = optionText.split(',').filter((option) => option !== '');
  const unknown = options.find((option) => option !== 'insecure');
  if (unknown !== undefined) throw new ImgctlError('Usage', `unknown source option: ${unknown}`);
  const wanted = normaliseUrl(url);
  const old = before.find((source) => source.type === type && normaliseUrl(source.url) === wanted);
  return {
    url,
    type,
    ...(options.length > 0 && {insecure: true}),
    ...(old?.channel !== undefined && {channel: old.channel}),
    ...(old?.name !== undefined && {name: old.name}),
    ...(old?.auth !== undefined && {auth: old.auth}),
  };
}

function isSameList(a: readonly SourceSettings[], b: readonly SourceSettings[]): boolean {
  const isSame = (source: SourceSettings, index: number): boolean => {
    const other = b[index];
    return other !== undefined && source.url === other.url && isSameSource(source, other);
  };
  return a.length === b.length && a.every(isSame);
}
