/**
 * The configuration file: which sources and pools there are, and limits (design.md §4, schemas/config.schema.json).
 * Written whole to a temporary name and renamed; unknown keys are kept.
 */

import {readFileSync} from 'node:fs';
import {mkdir, open, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import type {ImageClass} from '../import1/image-class.ts';
import type {SourceSettings} from '../sources/source.ts';
import type {TrustRule} from '../verify/trust-policy.ts';
import validateConfig from './config-schema.generated.js';

/** design.md §7, D8. */
export const defaultSource: SourceSettings = {url: 'https://images.smartos.org', type: 'imgapi'};

/** Bounds of what others control, and of the cache; the defaults stand where each is used. */
export interface ConfiguredLimits {
  cacheBytes?: number;
  quarantineBytes?: number;
  unpackedBytes?: number;
  listingBytes?: number;
  listingImages?: number;
  documentBytes?: number;
  headerBytes?: number;
  redirects?: number;
  originImages?: number;
}

export type ConfiguredPool =
  | {type?: 'directory'; class: ImageClass; directory: string}
  | {type: 'zfs'; class?: 'machine'; dataset: string};

export interface Configuration {
  sources?: SourceSettings[];
  pools?: Record<string, ConfiguredPool>;
  limits?: ConfiguredLimits;
  trust?: TrustRule[];
  userAgentExtra?: string;
  platform?: string;
  [key: string]: unknown;
}

/** What the engine is told; it has defaults of its own. */
export function engineLimits({limits}: Configuration): {maxOutputBytes?: number} {
  return limits?.unpackedBytes === undefined ? {} : {maxOutputBytes: limits.unpackedBytes};
}

/** An absent file is an empty configuration; a bad one is `ConfigError` naming the file. */
export async function readConfiguration(file: string): Promise<Configuration> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw new ImgctlError('ConfigError', `cannot read config file "${file}": ${describe(error)}`, {
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ImgctlError('ConfigError', `config file "${file}" is not valid JSON`, {
      cause: error,
    });
  }
  return checkConfiguration(value, file);
}

function checkConfiguration(value: unknown, file: string): Configuration {
  if (!validateConfig(value)) {
    const problem = validateConfig.errors?.[0];
    if (problem?.keyword === 'type' && problem.schema === 'string') {
      const key = problem.instancePath.slice(1).replaceAll('/', '.');
      throw new ImgctlError('ConfigError', `"${key}" in config file "${file}" is not a string`);
    }
    const where = problem?.instancePath ? problem.instancePath.slice(1).replaceAll('/', '.') : 'the whole';
    throw new ImgctlError(
      'ConfigError',
      `config file "${file}" is not valid: ${where} ${problem?.message ?? ''}`,
    );
  }
  const configuration = value as Configuration;
  const sources = configuration.sources?.map((source) => ({...source, type: source.type ?? 'imgapi'}));
  return sources ? {...configuration, sources} : configuration;
}

export async function writeConfiguration(file: string, configuration: Configuration): Promise<void> {
  const directory = path.dirname(file);
  // One name: who changes it holds the configuration's lock, and what a killed process left is written over.
  const temporary = path.join(directory, `.#${path.basename(file)}`);
  try {
    await mkdir(directory, {recursive: true, mode: 0o755});
    const handle = await open(temporary, 'w', 0o644);
    try {
      await handle.writeFile(`${JSON.stringify(configuration, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, {force: true});
    throw new ImgctlError('ConfigError', `cannot write config file "${file}": ${describe(error)}`, {
      cause: error,
    });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
