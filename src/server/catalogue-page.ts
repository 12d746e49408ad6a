/** How the catalogue looks. Links are relative, so that it works below another path, too. */
import type {ImageManifest} from '../manifest/manifest.ts';
import {formatSize} from '../manifest/size-text.ts';
import {html, type Markup} from './html.ts';
import type {StoredImage} from './stored-image.ts';

export interface CatalogueView {
  search: string;
  /** Of the request; links keep what they do not change. */
  query: URLSearchParams;
  page: number;
  pages: number;
  /** Position of the page's first image, from 0. */
  first: number;
  total: number;
  images: readonly ShownImage[];
  /** Names of the server's channels. */
  channels: readonly string[];
  /** Undefined when all are shown, or there are none. */
  channel: string | undefined;
  /** Base URL for commands. */
  address: string | undefined;
}

export interface ShownImage {
  image: StoredImage;
  /** As clients see it. */
  manifest: ImageManifest;
}

export function cataloguePage(view: CatalogueView): Markup {
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${view.search && `${view.search} – `}Images</title>
<link rel="stylesheet" href="catalogue.css">
<link rel="icon" href="data:,">
</head>
<body>
<header>
<h1><a href="images">Images</a></h1>
${searchForm(view)}
</header>
<main>
<p class="count">${countText(view)}</p>
${view.total === 0 ? undefined : imageTable(view)}
${pageLinks(view)}
</main>
</body>
</html>
`;
}

function searchForm({search, channels, channel}: CatalogueView): Markup {
  const choice =
    channels.length === 0
      ? undefined
      : html`<label>Channel <select name="channel">${['*', ...channels].map((name) => {
          const isChosen = name === (channel ?? '*');
          return html`<option value="${name}"${isChosen ? html` selected` : undefined}>${name === '*' ? 'all' : name}</option>`;
        })}</select></label>`;
  return html`<form action="images" role="search">
<input type="search" name="q" value="${search}" placeholder="name, version, os, type, UUID" aria-label="Search images">
${choice}<button>Search</button>
</form>`;
}

function countText({search, total, first, images}: CatalogueView): string {
  const matching = search === '' ? '' : ` for “${search}”`;
  if (total === 0) return `No images${matching}`;
  const range =
    total === images.length ? '' : `, ${number(first + 1)} to ${number(first + images.length)} shown`;
  return `${number(total)} ${total === 1 ? 'image' : 'images'}${matching}${range}`;
}

function imageTable(view: CatalogueView): Markup {
  return html`<table>
<thead><tr><th>Name</th><th>Version</th><th>OS</th><th>Type</th><th class="number">Size</th><th>Published</th></tr></thead>
${view.images.map((shown) => imageRows(shown, view))}
</table>`;
}

function imageRows({image, manifest}: ShownImage, view: CatalogueView): Markup {
  const {uuid, name, version, os, type, file, publishedAtMs} = image;
  const icon =
    image.icon && html`<img src="images/${uuid}/icon${channelQuery(view)}" alt="" width="16" height="16">`;
  const published = publishedAtMs === undefined ? '' : new Date(publishedAtMs).toISOString().slice(0, 10);
  return html`<tbody id="${uuid}">
<tr><td class="name">${icon}<bdi>${name}</bdi></td><td><bdi>${version}</bdi></td><td>${os}</td><td>${type}</td>
<td class="number">${file && formatSize(file.size)}</td><td>${published}</td></tr>
<tr class="more"><td colspan="6"><code class="command">${importCommand(uuid, view)}</code>
<details><summary>Manifest</summary>
<p><bdi>${manifest.description}</bdi></p>
<pre>${JSON.stringify(manifest, null, 2)}</pre>
<p><a href="images/${uuid}${channelQuery(view)}">as JSON</a> <a href="images/${uuid}/file${channelQuery(view)}">file</a></p>
</details></td></tr>
</tbody>
`;
}

/** For the clipboard: it only holds what cannot mean anything to a shell. */
function importCommand(uuid: string, {address, channel}: CatalogueView): string {
  const options = [...(address ? ['-S', address] : []), ...(channel ? ['-C', channel] : [])];
  return ['imgctl', 'import', ...options, uuid].join(' ');
}

function channelQuery({channels, channel}: CatalogueView): string {
  return channels.length === 0 ? '' : `?channel=${channel ?? '*'}`;
}

function pageLinks(view: CatalogueView): Markup | undefined {
  const {page, pages} = view;
  if (pages === 1) return undefined;
  const link = (target: number, text: string, rel: string): Markup =>
    target < 1 || target > pages || target === page
      ? html`<span>${text}</span>`
      : html`<a href="images?${pageQuery(view, target)}" rel="${rel}">${text}</a>`;
  return html`<nav aria-label="Pages">
${link(1, 'First', 'first')} ${link(page - 1, 'Previous', 'prev')} <span class="here">Page ${number(page)} of ${number(pages)}</span>
${link(page + 1, 'Next', 'next')} ${link(pages, 'Last', 'last')}
</nav>`;
}

function pageQuery({query}: CatalogueView, page: number): string {
  const changed = new URLSearchParams(query);
  changed.set('page', String(page));
  return String(changed);
}

function number(value: number): string {
  return value.toLocaleString('en');
}
