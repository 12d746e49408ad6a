import {
  carryOutVacuum,
  type KeptImage,
  planVacuum,
  type VacuumedImage,
  vacuumedBytes,
  vacuumSummary,
} from '../actions/vacuum.ts';
import {defineCommand} from '../cli/command.ts';
import {confirm} from '../cli/confirm.ts';
import {parseAge} from '../cli/durations.ts';
import {ImgctlError} from '../errors.ts';
import {imageTitle} from '../manifest/manifest.ts';
import {formatSize} from '../manifest/size-text.ts';

export interface VacuumResult {
  action: 'vacuumed';
  dryRun: boolean;
  /** False when there was nothing to do, the user said no, or it was a dry run. */
  changed: boolean;
  /** Deleted, or in a dry run to be deleted, in this order. */
  images: VacuumedImage[];
  kept: KeptImage[];
}

export default defineCommand({
  id: 'vacuum',
  family: 'imgadm',
  summary: 'remove images that nothing uses',
  description:
    'Removes every image that no instance and no other image is made from and that the host does not use, then those that became unused by that. Asks first, unless told not to.',
  flags: {
    'dry-run': {kind: 'boolean', char: 'n', summary: 'tell what would go and what stays, and remove nothing'},
    force: {kind: 'boolean', char: 'f', summary: 'do not ask'},
    keep: {kind: 'string', value: 'N', summary: 'keep the N newest images of each name, used or not'},
    'older-than': {
      kind: 'string',
      value: 'DURATION',
      summary: 'keep images installed less long ago: 12h, 30d',
    },
    pool: {
      kind: 'string',
      char: 'P',
      value: 'POOL',
      summary: 'look at this pool (default those of class machine)',
    },
  },
  args: [],
  surplusWord: 'arguments',
  examples: ['vacuum -n', 'vacuum -f', 'vacuum --keep 2 --older-than 30d'],
  async run(context, {flags}): Promise<VacuumResult> {
    const keepNewest = parseKeep(flags.keep);
    const minAgeMs = flags['older-than'] === undefined ? 0 : parseAge(flags['older-than']);
    const action = await context.action();
    const plan = await planVacuum(action, {poolName: flags.pool, keepNewest, minAgeMs});
    const {unused: images, kept} = plan;
    const dryRun = flags['dry-run'];
    const lines = images.map((image) => `${image.uuid} (${imageTitle(image)})`);
    if (dryRun) {
      for (const line of lines) context.output.step(`[dry-run] Deleted image ${line}`);
      for (const image of kept)
        context.output.notice(`Kept image ${image.uuid} (${imageTitle(image)}): ${image.text}`);
      context.output.notice(vacuumSummary(plan));
      return {action: 'vacuumed', dryRun, changed: false, images, kept};
    }
    if (images.length > 0 && !flags.force) {
      context.output.step('This will delete the following images:');
      for (const line of lines) context.output.step(`    ${line}`);
      const question = images.length === 1 ? 'Delete this image?' : `Delete these ${images.length} images?`;
      if (!(await confirm(context, [], question, '-f'))) {
        context.output.step('Aborting');
        return {action: 'vacuumed', dryRun, changed: false, images: [], kept};
      }
    }
    await carryOutVacuum(action, plan);
    if (images.length > 0) context.output.notice(`Freed ${formatSize(vacuumedBytes(plan))}`);
    return {action: 'vacuumed', dryRun, changed: images.length > 0, images, kept};
  },
});

function parseKeep(text: string | undefined): number {
  if (text === undefined) return 0;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new ImgctlError('Usage', `invalid --keep "${text}": must be a number`);
}
