/** Destroys an image or refuses by name: one `zfs destroy`, of a dataset that nobody finds any more. */
import {ImgctlError} from '../../errors.ts';
import {columnsOf, runZfs} from './run-zfs.ts';

/** Renamed first, because a destroy of several snapshots can end half-way; after a refusal it has its name again. */
export async function removeDataset(dataset: string, temporary: string): Promise<void> {
  await refuseBelow(dataset);
  await runZfs(['rename', dataset, temporary], `Taking away "${dataset}"`);
  try {
    await runZfs(['destroy', '-r', temporary], `Destroying "${dataset}"`);
  } catch (error) {
    await runZfs(['rename', temporary, dataset], `Putting back "${dataset}"`);
    throw error;
  }
}

/** A dataset may hold others, which are nobody's images; they are not to go with it. */
async function refuseBelow(dataset: string): Promise<void> {
  const list = ['list', '-H', '-r', '-t', 'filesystem,volume', '-o', 'name', dataset];
  const found = columnsOf(await runZfs(list, `Looking below "${dataset}"`)).map(([name = '']) => name);
  const [below] = found.filter((name) => name !== dataset);
  if (below === undefined) return;
  throw new ImgctlError('ImageInUse', `"${dataset}" holds another dataset: "${below}"`, {
    hint: `move it away first: zfs rename ${below} NEWNAME`,
  });
}
