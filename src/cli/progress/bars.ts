/** One line an image, and one for all when there are several (ux.md §6). */

import type {ProgressRetry} from '../../actions/context.ts';
import {formatSize} from '../../manifest/size-text.ts';
import {cellWidth} from '../cell-width.ts';
import type {Environment} from '../environment.ts';
import {escapeControls} from '../table.ts';
import {ellipsisFor, isAsciiOnly} from '../terminal-style.ts';
import {type BarView, barLine} from './line-text.ts';
import {RateMeter} from './rate-meter.ts';
import {Screen} from './screen.ts';
import type {Track} from './track.ts';
import {type ProgressView, retryText, type Scene} from './view.ts';

const redrawMs = 100;
/** What is over sooner leaves no trace. */
const drawAfterMs = 200;
/** Left free at the end of a line: what the terminal echoes of Ctrl-C and Ctrl-Z must not wrap. */
const echoCells = 2;

export class Bars implements ProgressView {
  readonly #screen: Screen;
  readonly #env: Environment['env'];
  readonly #stream: NodeJS.WriteStream;
  readonly #say: (line: string) => void;
  #drawnMs = Number.NEGATIVE_INFINITY;
  #startedMs: number | undefined;
  #total: RateMeter | undefined;
  #scene: Scene | undefined;
  #isPaused = false;
  readonly #onResize = (): void => this.#redraw();

  constructor({env, stderr}: Pick<Environment, 'env' | 'stderr'>, say: (line: string) => void) {
    this.#env = env;
    this.#stream = stderr;
    this.#screen = new Screen(stderr, env);
    this.#say = say;
    stderr.on('resize', this.#onResize);
  }

  start(_track: Track, _scene: Scene, nowMs: number): void {
    this.#startedMs ??= nowMs;
  }

  resumed({update}: Track, atBytes: number, {plan, tracks}: Scene): void {
    const isOne = (plan?.images ?? tracks.length) <= 1;
    this.#say(`${isOne ? 'Resumed' : `${update.title}: resumed`} at ${formatSize(atBytes)}`);
  }

  move(_track: Track, scene: Scene, nowMs: number): void {
    this.#scene = scene;
    if (nowMs - this.#drawnMs >= redrawMs) this.#draw(nowMs);
  }

  tick(scene: Scene, nowMs: number): void {
    this.move(scene.tracks[0]!, scene, nowMs);
  }

  retry(track: Track | undefined, retry: ProgressRetry, scene: Scene): void {
    const subject = scene.tracks.length > 1 && track ? `${track.update.title}: ` : '';
    this.#say(`${subject}${retryText(retry)}`);
  }

  end(_track: Track, scene: Scene): void {
    this.#scene = scene;
    this.clear();
    if (scene.tracks.length === 0) this.#screen.showInTaskbar('none');
  }

  clear(): void {
    this.#screen.clear();
  }

  close(): void {
    this.#scene = undefined;
    this.clear();
    this.#screen.showInTaskbar('none');
    this.#stream.off('resize', this.#onResize);
  }

  /** While the terminal belongs to somebody else (ux.md §11, SIGTSTP). */
  pause(): void {
    this.clear();
    this.#screen.showInTaskbar('none');
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#redraw();
  }

  #redraw(): void {
    this.clear();
    this.#draw(performance.now());
  }

  #draw(nowMs: number): void {
    const scene = this.#scene;
    if (!scene || scene.tracks.length === 0 || this.#isPaused) return;
    if (nowMs - (this.#startedMs ?? nowMs) < drawAfterMs) return;
    this.#drawnMs = nowMs;
    const views = scene.tracks.map((track) => viewOf(track, nowMs));
    const total = this.#totalView(scene, nowMs);
    // The last row is left alone, so that nothing scrolls.
    const {columns, rows} = this.#screen.size;
    const most = Math.max(1, rows - (total ? 2 : 1));
    const shown = [...views.slice(0, most), ...(total ? [total] : [])];
    const lines = this.#lines(shown, columns - echoCells);
    this.#screen.draw(lines, lines.map(cellWidth));
    const share = total ? total.share : views[0]?.share;
    this.#screen.showInTaskbar(share === undefined ? 'unknown' : Math.min(99, Math.floor(share * 100)));
  }

  #lines(views: readonly BarView[], room: number): string[] {
    const titleCells = Math.max(...views.map(({title}) => cellWidth(title)));
    const look = {isAscii: isAsciiOnly(this.#env), ellipsis: ellipsisFor(this.#env)};
    return views.map((view) => barLine(view, {...look, columns: Math.max(1, room), titleCells}));
  }

  /** Of all downloads together; there is none for a single image. */
  #totalView({tracks, plan, finished}: Scene, nowMs: number): BarView | undefined {
    const images = plan?.images ?? tracks.length + finished.images;
    if (images < 2) return undefined;
    const doneBytes = tracks.reduce((sum, track) => sum + downloadedBytes(track), finished.bytes);
    this.#total ??= new RateMeter(nowMs, doneBytes);
    this.#total.add(nowMs, doneBytes);
    const {totalBytes} = plan ?? {};
    const isWhole = totalBytes !== undefined && doneBytes >= totalBytes;
    return {
      title: 'total',
      phase: `${finished.images} of ${images}`,
      share: totalBytes ? Math.min(1, doneBytes / totalBytes) : undefined,
      doneBytes,
      rate: isWhole ? undefined : this.#total.rate(nowMs),
      secondsLeft:
        totalBytes && !isWhole ? this.#total.secondsLeft(nowMs, totalBytes - doneBytes) : undefined,
      ageMs: nowMs - (this.#startedMs ?? nowMs),
    };
  }
}

function viewOf(track: Track, nowMs: number): BarView {
  const {title, phase, doneBytes, isShare} = track.update;
  const stalledSeconds = track.stalledSeconds(nowMs);
  return {
    title: escapeControls(title),
    phase,
    share: track.share,
    doneBytes: isShare || (doneBytes === 0 && track.share === undefined) ? undefined : doneBytes,
    rate: track.rate(nowMs) || undefined,
    secondsLeft: track.secondsLeft(nowMs),
    stalledSeconds,
    ageMs: nowMs - track.startedMs,
  };
}

/** What came of its file: all of it, once another phase has begun. */
export function downloadedBytes({update}: Track): number {
  const {phase, doneBytes, fileBytes = 0} = update;
  if (phase === 'resolve') return 0;
  return phase === 'download' || phase === 'wait' || phase === 'verify' ? doneBytes : fileBytes;
}
