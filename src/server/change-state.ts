import type {Endpoint, Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import {ownImage} from './visible-image.ts';

/** ActivateImage (spec/imgapi.md §3.6): from now on the image is offered and its file fixed. */
export const activateImage: Endpoint = async (exchange, context) => {
  const {uuid} = exchange;
  exchange.checkPreconditions(ownImage(exchange, context), context);
  const image = await context.store.update(uuid, (current) => {
    if (current.isActivated) throw refusals.alreadyActivated(uuid);
    if (current.file === undefined) throw refusals.noActivationNoFile(uuid);
    const manifest = current.readManifest();
    const {published_at = new Date().toISOString(), disabled} = manifest;
    return {...manifest, published_at, activated: true, state: disabled ? 'disabled' : 'active'};
  });
  exchange.sendImage(image, context);
};

export const enableImage: Endpoint = (exchange, context) => setDisabled(exchange, context, false);

export const disableImage: Endpoint = (exchange, context) => setDisabled(exchange, context, true);

async function setDisabled(exchange: Exchange, context: ServerContext, disabled: boolean): Promise<void> {
  exchange.checkPreconditions(ownImage(exchange, context), context);
  const image = await context.store.update(exchange.uuid, (current) => ({
    ...current.readManifest(),
    disabled,
    state: disabled ? 'disabled' : 'active',
  }));
  exchange.sendImage(image, context);
}
