/**
 * What a publish that was cut off leaves on a server: the image, not activated. The next publish of the same image goes
 * on with it. Nothing that another publish made is deleted, and nothing that is active.
 */

import {ServerError} from '../errors.ts';
import type {ImgapiClient} from '../imgapi/imgapi-client.ts';
import {changedFields} from '../manifest/changed-fields.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';

type HalfContext = Pick<ActionContext, 'report' | 'signal'>;

interface Server {
  client: ImgapiClient;
  /** As typed. */
  url: string;
}

/** The image on the server when it is the same one, not yet activated; else the server's refusal, and what can be done. */
export async function takeOverHalf(
  {report, signal}: HalfContext,
  {client, url}: Server,
  {manifest, refusal}: {manifest: ImageManifest; refusal: ServerError},
): Promise<ImageManifest> {
  const {uuid} = manifest;
  const found = (await client.findImage(uuid, {signal}).catch(() => undefined)) as ImageManifest | undefined;
  if (found?.uuid !== uuid || found.state !== 'unactivated') throw refusal;
  const changed = changedFields(settled(found), settled(manifest));
  if (changed.length === 0) {
    report.notice(`Image ${uuid} is on the server already, not activated: going on with it`);
    return found;
  }
  const hint = `it was never activated, as after a publish that was cut off, and has another ${changed.join(', ')}; remove it: imgctl server delete ${url} ${uuid}`;
  const {serverCode, statusCode, items} = refusal;
  throw new ServerError(refusal.message, {serverCode, statusCode, items}, {cause: refusal, hint});
}

/** After a failure: the half that this publish made goes. */
export async function withdrawHalf(
  {report}: Pick<HalfContext, 'report'>,
  {client}: Pick<Server, 'client'>,
  {uuid, isOurs}: {uuid: string; isOurs: boolean},
): Promise<void> {
  try {
    // Not under the caller's signal: after Ctrl-C the server must still be tidied.
    const signal = AbortSignal.timeout(15_000);
    const found = (await client.findImage(uuid, {signal})) as ImageManifest | undefined;
    // Whoever goes on with a half may have come first; servers that do not show halves are asked all the same.
    if (found !== undefined && found.state !== 'unactivated') {
      report.warn(`image ${uuid} was activated all the same and is left on the server`);
    } else if (isOurs) await client.deleteImage(uuid, {signal});
    else report.warn(`image ${uuid} is left unactivated on the server, as it was found`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    report.warn(`Could not delete partially published image ${uuid}: ${reason}`);
  }
}

export function isRefusal(error: unknown, code: string): error is ServerError {
  return error instanceof ServerError && error.serverCode === code;
}

/** What stands fixed when an image is imported; the rest the server sets, or the steps that follow. */
function settled(manifest: ImageManifest): Record<string, unknown> {
  const {owner, state, activated, files, channels, published_at, urn, icon, ...fields} = manifest as Record<
    string,
    unknown
  > &
    ImageManifest;
  return {...fields, disabled: fields.disabled ?? false, public: fields.public ?? false};
}
