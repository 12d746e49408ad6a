/** What the service manager knows about units, asked of systemctl. */

import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import type {UnitState} from '../actions/boot-report.ts';

const properties = ['LoadState', 'ActiveState', 'Result', 'ConditionResult', 'ConditionTimestampMonotonic'];

/** Undefined when systemctl is not there, cannot reach its manager, or the unit is not loaded. */
export async function readUnitState(unit: string, signal: AbortSignal): Promise<UnitState | undefined> {
  try {
    const {stdout} = await promisify(execFile)(
      'systemctl',
      ['show', `--property=${properties.join(',')}`, '--', unit],
      {signal, env: {PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8'}, timeout: 10_000},
    );
    return parseUnitState(stdout);
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

/** Reads `KEY=VALUE` lines. */
export function parseUnitState(text: string): UnitState | undefined {
  const pairs = text.split('\n').map((line): [string, string] => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)];
  });
  const values = new Map(pairs);
  if (values.get('LoadState') !== 'loaded') return undefined;
  return {
    activeState: values.get('ActiveState') ?? '',
    result: values.get('Result') ?? '',
    metConditions: values.get('ConditionResult') === 'yes',
    wasTried: (values.get('ConditionTimestampMonotonic') ?? '0') !== '0',
  };
}
