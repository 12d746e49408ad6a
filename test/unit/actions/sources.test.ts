import {expect, test} from 'vitest';
import {editSources, type TextEditor} from '../../../src/actions/edit-sources.ts';
import {
  addSource,
  checkSources,
  deleteSource,
  type SourceSettingsStore,
  type SourcesContext,
} from '../../../src/actions/sources.ts';
import {ImgctlError} from '../../../src/errors.ts';
import type {SourceSettings, VerifiedSource} from '../../../src/sources/source.ts';

const first: SourceSettings = {url: 'http://first', type: 'imgapi'};
const second: SourceSettings = {url: 'http://second', type: 'imgapi', insecure: true};

class Place implements SourceSettingsStore {
  sources: SourceSettings[];
  lines: string[] = [];
  pinged: string[] = [];
  writes = 0;
  dead = new Set<string>();

  constructor(sources: SourceSettings[]) {
    this.sources = sources;
  }

  read(): Promise<SourceSettings[]> {
    return Promise.resolve(this.sources);
  }

  async change(edit: Parameters<SourceSettingsStore['change']>[0]): Promise<SourceSettings[]> {
    const changed = edit(this.sources, false);
    if (changed !== this.sources) this.writes += 1;
    this.sources = changed;
    return changed;
  }

  get context(): SourcesContext {
    const line = (text: string): void => void this.lines.push(text);
    const open = async (settings: SourceSettings): Promise<VerifiedSource> =>
      ({
        settings,
        ping: async () => {
          this.pinged.push(settings.url);
          if (this.dead.has(settings.url))
            throw new ImgctlError('SourcePing', `no answer from ${settings.url}`);
        },
      }) as unknown as VerifiedSource;
    return {
      store: this,
      open,
      report: {step: line, notice: line, warn: line},
      signal: new AbortController().signal,
    };
  }

  /** An editor that does this to the text. */
  edit(change: (text: string) => string, options = {skipPing: false}): Promise<SourceSettings[]> {
    const editor: TextEditor = async (text) => ({
      text: change(text),
      file: '/tmp/kept',
      discard: async () => void this.lines.push('(discarded)'),
    });
    return editSources(this.context, editor, options);
  }
}

test('a source is pinged before it is added, and not added when it does not answer', async () => {
  const place = new Place([first]);
  place.dead.add('http://dead');
  await expect(
    addSource(place.context, {url: 'http://dead', type: 'imgapi'}, {skipPing: false}),
  ).rejects.toThrow('no answer from http://dead');
  expect([place.sources, place.writes]).toEqual([[first], 0]);
  await addSource(place.context, {url: 'http://dead', type: 'imgapi'}, {skipPing: true});
  await addSource(place.context, {url: 'http://alive', type: 'imgapi'}, {skipPing: false});
  expect(place.pinged).toEqual(['http://dead', 'http://alive']);
  expect(place.lines).toEqual([
    'Added "imgapi" image source "http://dead"',
    'Added "imgapi" image source "http://alive"',
  ]);
});

test('one that is there is neither pinged nor written', async () => {
  const place = new Place([first]);
  await addSource(place.context, {url: 'FIRST:80/', type: 'imgapi'}, {skipPing: false});
  expect([place.pinged, place.writes]).toEqual([[], 0]);
  expect(place.lines).toEqual(['Already have "imgapi" image source "http://first", no change']);
});

test('deleting takes every source of that URL, whatever else it is', async () => {
  const place = new Place([first, {...first, insecure: true}, {...first, channel: 'dev'}, second]);
  await deleteSource(place.context, 'http://first/');
  expect(place.sources).toEqual([second]);
  expect(place.lines).toEqual([
    'Deleted "imgapi" image source "http://first"',
    'Deleted "imgapi" image source "http://first" (insecure)',
    'Deleted "imgapi" image source "http://first" (channel=dev)',
  ]);
});

test('a check tells of each source, in their order', async () => {
  const place = new Place([first, second]);
  place.dead.add('http://first');
  expect(await checkSources(place.context)).toEqual([
    {...first, ok: false, error: 'no answer from http://first'},
    {...second, ok: true},
  ]);
});

test('an edit that only orders anew asks nobody', async () => {
  const place = new Place([first, second]);
  await place.edit((text) => text.split('\n').slice(0, 2).reverse().join('\n'));
  expect([place.sources, place.pinged]).toEqual([[second, first], []]);
  expect(place.lines).toEqual(['Reordered image sources', '(discarded)']);
});

test('an edit that adds and deletes asks the new ones only', async () => {
  const place = new Place([first, second]);
  await place.edit(() => 'http://second imgapi insecure\nhttp://new\n');
  expect(place.pinged).toEqual(['http://new']);
  expect(place.lines).toEqual([
    'Deleted "imgapi" image source "http://first"',
    'Added "imgapi" image source "http://new"',
    '(discarded)',
  ]);
});

test('an edit that only adds says reordered first, as imgadm does', async () => {
  const place = new Place([first]);
  await place.edit((text) => `http://new\n${text}`, {skipPing: true});
  expect([place.pinged, place.sources[0]?.url]).toEqual([[], 'http://new']);
  expect(place.lines).toEqual([
    'Reordered image sources',
    'Added "imgapi" image source "http://new"',
    '(discarded)',
  ]);
});

test.each([
  ['the text is not understood', 'http://new imgapi blah', 'unknown source option: blah'],
  ['a new source does not answer', 'http://dead', 'no answer from http://dead'],
])('an edit changes nothing and keeps the text when %s', async (_when, text, message) => {
  const place = new Place([first]);
  place.dead.add('http://dead');
  await expect(place.edit(() => text)).rejects.toThrow(message);
  expect([place.sources, place.writes]).toEqual([[first], 0]);
  expect(place.lines).toEqual(['nothing was changed; your text is kept in "/tmp/kept"']);
});

test('an edit does not undo what someone else did meanwhile', async () => {
  const place = new Place([first]);
  const editing = place.edit((text) => {
    place.sources = [first, second];
    return `http://new\n${text}`;
  });
  await expect(editing).rejects.toThrow('the image sources were changed by someone else meanwhile');
  expect(place.sources).toEqual([first, second]);
});

test.each([
  ['the text is the same', (text: string) => text],
  ['only comments differ', (text: string) => `# mine\n${text}`],
])('nothing happens when %s', async (_when, change) => {
  const place = new Place([first, second]);
  await place.edit(change);
  expect([place.writes, place.lines.includes('Image sources unchanged')]).toEqual([0, true]);
});
