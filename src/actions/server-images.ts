/**
 * `server …`: changing images on a server (spec/imgapi.md §3), one request each. What the server answers is the result;
 * lines are those of the reference's own client where it has one.
 */

import {ImgctlError} from '../errors.ts';
import type {ImgapiClient} from '../imgapi/imgapi-client.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {isUuid} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';

export interface ServerImageOptions {
  client: ImgapiClient;
  uuid: string;
}

export interface ServerImageResult {
  action:
    | 'activated'
    | 'enabled'
    | 'disabled'
    | 'updated'
    | 'deleted'
    | 'icon-added'
    | 'acl-changed'
    | 'channel-added';
  uuid: string;
  /** As the server has it now; absent when it is gone. */
  manifest?: ImageManifest;
}

type ServerContext = Pick<ActionContext, 'report' | 'signal'>;

export async function changeState(
  {report, signal}: ServerContext,
  {client, uuid, to}: ServerImageOptions & {to: 'activate' | 'enable' | 'disable'},
): Promise<ServerImageResult> {
  requireUuid(uuid);
  const manifest = await client[to](uuid, {signal});
  const action = `${to}d` as 'activated' | 'enabled' | 'disabled';
  report.step(`${action.charAt(0).toUpperCase()}${action.slice(1)} image ${uuid}`);
  return {action, uuid, manifest};
}

export async function updateServerImage(
  {report, signal}: ServerContext,
  {client, uuid, fields}: ServerImageOptions & {fields: Readonly<Record<string, unknown>>},
): Promise<ServerImageResult> {
  requireUuid(uuid);
  const manifest = await client.updateImage(uuid, fields, {signal});
  const {name, version, state} = manifest;
  report.step(`Updated image ${uuid} (${name}, ${version}, state=${state})`);
  return {action: 'updated', uuid, manifest};
}

/** From the request's channel, or with `allChannels` for good. */
export async function deleteServerImage(
  {report, signal}: ServerContext,
  {client, uuid, allChannels}: ServerImageOptions & {allChannels: boolean},
): Promise<ServerImageResult> {
  requireUuid(uuid);
  await client.deleteImage(uuid, {signal, allChannels});
  report.step(`Deleted image ${uuid}`);
  return {action: 'deleted', uuid};
}

const iconTypes: readonly (readonly [type: string, magic: string])[] = [
  ['image/png', '89504e470d0a1a0a'],
  ['image/gif', '47494638'],
  ['image/jpeg', 'ffd8ff'],
];
/** spec/imgapi.md §4. */
const maxIconBytes = 128 * 1024;

/** The type is what the bytes say. */
export async function addServerIcon(
  {report, signal}: ServerContext,
  {client, uuid, bytes, file}: ServerImageOptions & {bytes: Buffer; file: string},
): Promise<ServerImageResult> {
  requireUuid(uuid);
  if (bytes.length > maxIconBytes) {
    throw new ImgctlError('LimitExceeded', `icon "${file}" is larger than ${maxIconBytes} bytes`);
  }
  const type = iconTypes.find(([, magic]) => bytes.toString('hex').startsWith(magic))?.[0];
  if (type === undefined) {
    throw new ImgctlError('InvalidArgument', `icon "${file}" is not a PNG, GIF or JPEG picture`);
  }
  const manifest = await client.addIcon(uuid, {contentType: type, bytes}, {signal});
  report.step(`Added icon "${file}" to image ${uuid}`);
  return {action: 'icon-added', uuid, manifest};
}

export async function changeServerAcl(
  {report, signal}: ServerContext,
  {client, uuid, accounts, remove}: ServerImageOptions & {accounts: readonly string[]; remove: boolean},
): Promise<ServerImageResult> {
  requireUuid(uuid);
  accounts.forEach(requireUuid);
  const manifest = await client.changeAcl(uuid, {action: remove ? 'remove' : 'add', accounts}, {signal});
  report.step(`Updated ACL for image ${uuid}`);
  return {action: 'acl-changed', uuid, manifest};
}

export async function addToServerChannel(
  {report, signal}: ServerContext,
  {client, uuid, channel}: ServerImageOptions & {channel: string},
): Promise<ServerImageResult> {
  requireUuid(uuid);
  const manifest = await client.addToChannel(uuid, channel, {signal});
  report.step(`Added image ${uuid} to channel "${channel}"`);
  return {action: 'channel-added', uuid, manifest};
}

function requireUuid(text: string): void {
  if (!isUuid(text)) throw new ImgctlError('InvalidUUID', `invalid uuid: "${text}"`);
}
