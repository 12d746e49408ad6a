import {fieldRules, isSet, type ManifestSet, type RuleContext} from './field-rules.ts';
import {isTooDeep} from './nesting.ts';
import {invalid, type ManifestProblem, missing} from './problem.ts';

export type {ManifestProblem, ManifestSet};

export interface ValidateOptions {
  /** The server's channels, when it has any (spec/manifest.md §2, `channels`). */
  channelNames?: readonly string[];
}

/** More problems than this are not listed; only a hostile manifest gets there. */
const maxProblems = 20_000;

const minimalFields = ['v', 'uuid', 'name', 'version', 'type', 'os'];
const driverFields = ['nic_driver', 'disk_driver', 'cpu_type', 'image_size'];
const serverFields = [
  ...['v', 'uuid', 'owner', 'name', 'version', 'disabled', 'activated', 'published_at', 'public', 'state'],
  ...['type', 'os', 'files', ...driverFields],
];

/**
 * The problems of a manifest by one of the reference's four sets of rules (spec/manifest.md §3), in the reference's
 * order; empty when it is valid. Takes any JSON value and never throws.
 */
export function validateManifest(
  manifest: unknown,
  set: ManifestSet,
  options: ValidateOptions = {},
): ManifestProblem[] {
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) {
    return [invalid('manifest', 'manifest is not a JSON object')];
  }
  if (isTooDeep(manifest)) return [invalid('manifest', 'manifest is nested too deeply')];
  const fields = manifest as Record<string, unknown>;
  const problems: ManifestProblem[] = [];
  for (const problem of findProblems({manifest: fields, set, channelNames: options.channelNames})) {
    problems.push(problem);
    if (problems.length === maxProblems) break;
  }
  return problems;
}

function* findProblems(context: RuleContext): Generator<ManifestProblem> {
  const {manifest} = context;
  const has = (field: string) => Object.hasOwn(manifest, field) && manifest[field] !== undefined;
  const first = fieldsOf(context);
  const known = Object.keys(fieldRules);
  for (const field of [...first, ...known.filter((name) => !first.includes(name))]) {
    if (has(field)) yield* fieldRules[field]!(manifest[field], context);
    else if (first.includes(field) && isRequired(field, manifest)) yield missing(field, reasonFor(field));
  }
  for (const field of Object.keys(manifest)) {
    if (!Object.hasOwn(fieldRules, field)) yield invalid(field);
  }
}

/** The fields that a set looks at before all others, most of them required. */
function fieldsOf({set, channelNames}: RuleContext): string[] {
  if (set === 'minimal') return minimalFields;
  return set !== 'dc' && channelNames ? [...serverFields, 'channels'] : serverFields;
}

function isRequired(field: string, manifest: Readonly<Record<string, unknown>>): boolean {
  if (field === 'published_at' || field === 'files') return isSet(manifest.activated);
  return !driverFields.includes(field) || manifest.type === 'zvol';
}

function reasonFor(field: string): string | undefined {
  const isConditional = field === 'published_at' || field === 'files';
  return isConditional ? `if activated is "true" ${field} must be present` : undefined;
}
