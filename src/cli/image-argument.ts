/** The argument that names an image. */

import type {CommandContext} from './context.ts';

export const imageSummary =
  'its UUID; imgctl also takes NAME@VERSION, NAME (the newest), the beginning of the UUID, and SOURCE: in front';

/** The UUID of the installed image that the argument names (ux.md §3.2). */
export async function installedUuid(
  context: CommandContext,
  text: string,
  poolName?: string | undefined,
): Promise<string> {
  const {resolveInstalled} = await import('../actions/resolve-image.ts');
  const sources = await context.network.configuredSources();
  const reading = {...(await context.reading()), report: context.reporter()};
  return resolveInstalled(reading, text, {program: context.program, poolName, sources});
}
