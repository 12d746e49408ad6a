import parts from './manifest-schema.generated.js';
import {invalid, jsonExcerpt, type ManifestProblem, missing, textExcerpt} from './problem.ts';

type Requirements = Record<string, unknown>;
type Rule = (value: unknown, all: Requirements) => Iterable<ManifestProblem>;

/** In the order of checking (spec/manifest.md §2.4). */
const rules: Record<string, Rule> = {
  networks: checkNetworks,
  brand: scalar('brand', 'not a string'),
  ssh_key: scalar('ssh_key', 'not a boolean'),
  min_ram: scalar('min_ram', 'not a positive integer'),
  max_ram: checkMaxRam,
  min_platform: (value) => checkPlatforms('requirements.min_platform', value),
  max_platform: (value) => checkPlatforms('requirements.max_platform', value),
  bootrom: checkBootrom,
};

/** Problems of the field `requirements`, one after the other. */
export function* checkRequirements(value: unknown): Generator<ManifestProblem> {
  if (!isRecord(value)) {
    yield invalid('requirements');
    return;
  }
  for (const [key, rule] of Object.entries(rules)) {
    if (Object.hasOwn(value, key) && !parts.unset(value[key])) yield* rule(value[key], value);
  }
  for (const key of Object.keys(value)) {
    // The reference names the bare key here, not "requirements.KEY" (spec/manifest.md §2.4).
    if (!Object.hasOwn(rules, key)) yield invalid(key, `unsupported requirement "${textExcerpt(key)}"`);
  }
}

function isRecord(value: unknown): value is Requirements {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function scalar(key: 'brand' | 'ssh_key' | 'min_ram', expectation: string): Rule {
  const field = `requirements.${key}`;
  return (value) =>
    parts[key](value)
      ? []
      : [invalid(field, `invalid image "${field}" (${expectation}): ${jsonExcerpt(value)}`)];
}

function* checkNetworks(value: unknown): Generator<ManifestProblem> {
  const field = 'requirements.networks';
  if (!Array.isArray(value)) {
    yield invalid(field, `invalid image "${field}" (not an array): ${jsonExcerpt(value)}`);
    return;
  }
  for (const entry of value) {
    if (!parts.network(entry)) yield invalid(field, `invalid image "${field}" entry: ${jsonExcerpt(entry)}`);
  }
}

function* checkMaxRam(max: unknown, {min_ram: min}: Requirements): Generator<ManifestProblem> {
  const field = 'requirements.max_ram';
  if (!parts.max_ram(max)) {
    yield invalid(field, `invalid image "${field}" (not a positive integer): ${jsonExcerpt(max)}`);
  } else if (parts.min_ram(min) && min && Number(min) > Number(max)) {
    yield invalid(field, `min_ram must be <= max_ram, but:min_ram=${min}, max_ram=${max}`);
  }
}

function* checkPlatforms(field: string, value: unknown): Generator<ManifestProblem> {
  const stamps = isRecord(value) ? Object.entries(value) : [];
  if (stamps.length === 0) {
    yield invalid(field, `invalid image "${field}" (not an object): ${jsonExcerpt(value)}`);
  }
  for (const [release, stamp] of stamps) {
    if (parts.platformStamp(stamp)) continue;
    const entry = `${textExcerpt(release)}: ${textExcerpt(stamp)}`;
    yield invalid(field, `invalid image "${field}" entry: "${entry}" not a valid platform version`);
  }
}

function* checkBootrom(value: unknown, {brand}: Requirements): Generator<ManifestProblem> {
  const field = 'requirements.bootrom';
  if (parts.unset(brand) || brand === undefined) {
    yield missing(
      field,
      `"requirements.brand" not specified. "${field}" requires "requirements.brand" to be set to "bhyve"`,
    );
  } else if (brand !== 'bhyve') {
    const found = textExcerpt(brand);
    yield invalid(
      field,
      `invalid bootrom "${field}" not supported with "${found}" brand; "requirements.brand" must be "bhyve"`,
    );
  } else if (!parts.bootrom(value)) {
    const found = textExcerpt(value);
    yield invalid(field, `invalid bootrom "${field}" invalid entry "${found}"; must be one of: bios, uefi`);
  }
}
