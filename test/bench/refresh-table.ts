import type {Cost} from './measure.ts';

export interface RefreshResult {
  images: number;
  first: Cost;
  again: Cost;
  requestsAgain: string[];
  catalogBytes: number;
  peakBytes: number;
}

export function refreshTable(results: readonly RefreshResult[]): string {
  const lines = results.map(({images, first, again, requestsAgain, catalogBytes, peakBytes}) => {
    const cells = [
      images,
      `${first.wallSeconds.toFixed(1)} s (${first.cpuSeconds.toFixed(1)} s CPU)`,
      `${again.wallSeconds.toFixed(2)} s (${requestsAgain.join(', ')})`,
      `${(catalogBytes / 1024 ** 2).toFixed(0)} MiB`,
      `${(peakBytes / 1024 ** 2).toFixed(0)} MiB`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| images | first asked | asked again | catalog | peak |',
    '| --: | --: | --: | --: | --: |',
    ...lines,
  ].join('\n');
}
