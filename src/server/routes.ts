import {addImageFile, addImageFileFromUrl} from './add-image-file.ts';
import {reloadAuthKeys} from './auth-keys.ts';
import {catalogue, catalogueStyle, redirectToImages} from './catalogue.ts';
import {changeAcl} from './change-acl.ts';
import {listChannels} from './change-channels.ts';
import {createImage} from './create-image.ts';
import {deleteImage} from './delete-image.ts';
import type {Endpoint} from './exchange.ts';
import {getImage} from './get-image.ts';
import {getImageFile} from './get-image-file.ts';
import {addIcon, deleteIcon, getIcon} from './icon.ts';
import {imageAction} from './image-actions.ts';
import {redirectDataset, redirectDatasets} from './legacy-redirects.ts';
import {listImages} from './list-images.ts';
import {ping} from './ping.ts';

/** Everything answered at one path; the order of the methods is that of the `Allow` header. */
export interface Route {
  path: RegExp;
  methods: Readonly<Record<string, Endpoint>>;
  /** Reading it does not look at who asks. */
  isOpen?: true;
  /** What a browser gets instead of GET's answer. */
  page?: Endpoint;
}

const routes: readonly Route[] = [
  {path: /^\/ping$/, methods: {GET: ping}},
  {path: /^\/$/, methods: {GET: redirectToImages}, page: catalogue},
  {path: /^\/catalogue\.css$/, methods: {GET: catalogueStyle}},
  {path: /^\/images$/, methods: {GET: listImages, POST: createImage}, page: catalogue},
  {path: /^\/images\/[^/]+$/, methods: {GET: getImage, POST: imageAction, DELETE: deleteImage}},
  {path: /^\/images\/[^/]+\/file$/, methods: {PUT: addImageFile, GET: getImageFile}, isOpen: true},
  {path: /^\/images\/[^/]+\/file\/from-url$/, methods: {POST: addImageFileFromUrl}},
  {path: /^\/images\/[^/]+\/icon$/, methods: {PUT: addIcon, GET: getIcon, DELETE: deleteIcon}, isOpen: true},
  {path: /^\/images\/[^/]+\/acl$/, methods: {POST: changeAcl}},
  {path: /^\/authkeys\/reload$/, methods: {POST: reloadAuthKeys}},
  {path: /^\/channels$/, methods: {GET: listChannels}},
  {path: /^\/datasets$/, methods: {GET: redirectDatasets}},
  {path: /^\/datasets\/[^/]+$/, methods: {GET: redirectDataset}},
];

export function findRoute(path: string): Route | undefined {
  return routes.find((route) => route.path.test(path));
}
