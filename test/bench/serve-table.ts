export interface ServeResult {
  clients: number;
  /** Bytes a second. */
  imgctl: number;
  nginx: number;
  ratio: number;
  goal: number;
  /** Of requests that failed or timed out at imgctl. */
  failures: number;
}

export function serveTable(results: readonly ServeResult[]): string {
  const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0);
  const lines = results.map(({clients, imgctl, nginx, ratio, goal, failures}) => {
    const isMet = ratio >= goal && failures === 0;
    return `| ${[clients, mib(imgctl), mib(nginx), ratio.toFixed(2), goal, isMet ? 'yes' : 'no', failures].join(' | ')} |`;
  });
  return [
    '| clients | imgctl MiB/s | nginx MiB/s | ratio | goal | met | failures |',
    '| --: | --: | --: | --: | --: | --- | --: |',
    ...lines,
  ].join('\n');
}

export function serveMissed(results: readonly ServeResult[]): string[] {
  return results
    .filter(({ratio, goal, failures}) => !(ratio >= goal) || failures > 0)
    .map(({clients}) => `${clients} clients`);
}
