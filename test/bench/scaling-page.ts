export interface ScalingResult {
  cores: {name: string; seconds: {cores: number; wallSeconds: number}[]}[];
  sizes: {sizeMib: number; wallSeconds: number; peakBytes: number}[];
}

const plotWidth = 50;

/** One bar a size: seconds for each GiB, so that a cost which only grows with the size is a straight edge. */
function plotOf(sizes: ScalingResult['sizes']): string {
  const rates = sizes.map(({sizeMib, wallSeconds}) => wallSeconds / (sizeMib / 1024));
  const largest = Math.max(...rates);
  const lines = sizes.map(({sizeMib, wallSeconds, peakBytes}, index) => {
    const rate = rates[index] ?? 0;
    const bar = '#'.repeat(Math.max(1, Math.round((rate / largest) * plotWidth)));
    const figures = `${wallSeconds.toFixed(2)} s, ${(peakBytes / 1024 ** 2).toFixed(0)} MiB of memory`;
    return `${String(sizeMib).padStart(6)} MiB  ${bar.padEnd(plotWidth)}  ${rate.toFixed(2)} s/GiB  (${figures})`;
  });
  return ['```', ...lines, '```'].join('\n');
}

export function scalingPage({cores, sizes}: ScalingResult): string {
  const counts = cores[0]?.seconds.map((each) => each.cores) ?? [];
  const rows = cores.map(({name, seconds}) => {
    const [first] = seconds;
    const cells = seconds.map(({wallSeconds}) => wallSeconds.toFixed(2));
    const last = seconds.at(-1);
    const gain = first && last ? (first.wallSeconds / last.wallSeconds).toFixed(2) : '-';
    return `| ${[name, ...cells, gain].join(' | ')} |`;
  });
  return `## Scaling

Seconds of imgctl with so many processors:

| work | ${counts.join(' | ')} | gain |
| --- | ${counts.map(() => '--:').join(' | ')} | --: |
${rows.join('\n')}

\`import-raw\` of disks of zstd, half of them zeros, by size:

${plotOf(sizes)}`;
}
