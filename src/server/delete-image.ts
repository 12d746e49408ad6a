import type {Endpoint} from './exchange.ts';
import {refusals} from './refusals.ts';
import {ownImage} from './visible-image.ts';

/** DeleteImage (spec/imgapi.md §3.8): not while other images are increments of it. */
export const deleteImage: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  await context.store.remove(uuid, () => {
    if (context.store.find(uuid) === undefined) throw refusals.noSuchImage(uuid);
    const dependents = [...context.store.all()].filter(({origin}) => origin === uuid);
    if (dependents.length === 0) return;
    throw refusals.hasDependents(
      uuid,
      dependents.map((image) => image.uuid),
    );
  });
  exchange.send(204);
};
