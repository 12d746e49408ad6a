import {addToChannel} from './change-channels.ts';
import {activateImage, disableImage, enableImage} from './change-state.ts';
import type {Endpoint} from './exchange.ts';
import {importImage} from './import-image.ts';
import {refusals} from './refusals.ts';
import {changeStorage, exportImage} from './storage-actions.ts';
import {updateImage} from './update-image.ts';

/** `POST /images/:uuid?action=…`: one line for each action (spec/imgapi.md §3). */
const actions: Record<string, Endpoint> = {
  import: importImage,
  activate: activateImage,
  enable: enableImage,
  disable: disableImage,
  update: updateImage,
  'channel-add': addToChannel,
  'change-stor': changeStorage,
  export: exportImage,
};

/** Actions of other servers that this one does not have. */
const foreignActions = new Set(['import-remote', 'import-from-datacenter']);

export const imageAction: Endpoint = (exchange, context) => {
  void exchange.uuid;
  const action = exchange.query.get('action');
  if (action === null) {
    throw refusals.invalidParameter('action', 'no image "action" was specified', 'MissingParameter');
  }
  if (foreignActions.has(action)) throw refusals.notAvailable(`action "${action}" is not available`);
  if (!Object.hasOwn(actions, action)) {
    throw refusals.invalidParameter('action', `"${action}" is not a valid action`);
  }
  return actions[action]?.(exchange, context);
};
