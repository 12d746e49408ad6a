/** Parameters of Varlink calls, checked as systemd checks them: in the order of the caller, missing ones last. */

import {type Parameters, VarlinkError} from './connection.ts';

type Check = (value: unknown) => boolean;

export interface ParameterTable {
  required: Readonly<Record<string, Check>>;
  /** May be null or left out. */
  optional: Readonly<Record<string, Check>>;
}

export const isText: Check = (value) => typeof value === 'string';
export const isFlag: Check = (value) => typeof value === 'boolean';

export function oneOf(...words: string[]): Check {
  return (value) => words.includes(value as string);
}

/** The parameters without nulls. */
export function checkParameters(parameters: Parameters, table: ParameterTable): Parameters {
  for (const [name, value] of Object.entries(parameters)) {
    const check = table.required[name] ?? table.optional[name];
    const mayLack = name in table.optional && value === null;
    if (!check || !(mayLack || check(value))) throw invalidParameter(name);
  }
  for (const name of Object.keys(table.required)) if (!(name in parameters)) throw invalidParameter(name);
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== null));
}

export function invalidParameter(parameter: string): VarlinkError {
  return new VarlinkError('org.varlink.service.InvalidParameter', {parameter});
}
