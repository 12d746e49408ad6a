/**
 * Objects on the bus: finds the object and member of a call and answers as sd-bus does, texts included, so that
 * callers cannot tell (measured against systemd's importd 262). What the members do is told it by their objects.
 */

import {BusError} from '../bus-error.ts';
import type {Answer, IncomingCall} from '../bus-messages.ts';
import {invalidArguments} from './call-errors.ts';
import type {InterfaceDescription, MethodDescription, PropertyDescription} from './interfaces.ts';
import {introspectionXml} from './introspection.ts';

/** As the connection takes it. */
type VariantPair = [signature: string, value: unknown];

export interface ServedInterface {
  description: InterfaceDescription;
  /** Arguments have the types of the description; the result must have them too. Throws BusErrors. */
  call(member: string, call: IncomingCall): unknown[] | Promise<unknown[]>;
  get(property: string): unknown;
  set?(property: string, value: unknown): void;
}

export interface ObjectTree {
  /** The object's own interfaces; undefined where there is no object, or only nodes below it. */
  find(path: string): readonly ServedInterface[] | undefined;
  /** Names right below a path; undefined where there is nothing at all. */
  children(path: string): readonly string[] | undefined;
  /** Whether the caller has the rights of the service itself. */
  isPrivileged(sender: string): Promise<boolean>;
  machineId(): string;
}

const peer = 'org.freedesktop.DBus.Peer';
const introspectable = 'org.freedesktop.DBus.Introspectable';
const properties = 'org.freedesktop.DBus.Properties';
const errors = 'org.freedesktop.DBus.Error';
const empty: Answer = {signature: '', body: []};

/** Answers a call; throws BusErrors. */
export async function answerCall(tree: ObjectTree, call: IncomingCall): Promise<Answer> {
  if (call.interface === peer) return answerPeer(tree, call);
  // sd-bus looks for members by their interface only.
  if (call.interface === '') throw unknownObject(call.path);
  if (call.interface === introspectable && call.member === 'Introspect') return introspect(tree, call);
  const served = tree.find(call.path);
  if (!served) throw unknownObject(call.path);
  if (call.interface === properties) return answerProperties(tree, served, call);
  const found = served.find(({description}) => description.name === call.interface);
  const method = found?.description.methods.find(({name}) => name === call.member);
  if (!found || !method) throw unknownMethod(call);
  checkSignature(method, call);
  const body = await found.call(call.member, call);
  return {signature: method.out.map(({type}) => type).join(''), body};
}

function answerPeer(tree: ObjectTree, {member}: IncomingCall): Answer {
  if (member === 'Ping') return empty;
  if (member === 'GetMachineId') return {signature: 's', body: [tree.machineId()]};
  throw new BusError(`${errors}.UnknownMethod`, `Unknown method '${member}' on interface '${peer}'.`);
}

function introspect(tree: ObjectTree, {path, signature}: IncomingCall): Answer {
  const served = tree.find(path);
  const children = tree.children(path);
  if (!served && !children) throw unknownObject(path);
  if (signature !== '') throw invalidArguments('Expected no parameters');
  const descriptions = (served ?? []).map(({description}) => description);
  return {signature: 's', body: [introspectionXml(descriptions, children ?? [])]};
}

function checkSignature(method: MethodDescription, call: IncomingCall): void {
  const expected = method.in.map(({type}) => type).join('');
  if (call.signature === expected) return;
  const called = `${call.interface}.${call.member}()`;
  throw invalidArguments(`Invalid arguments '${call.signature}' to call ${called}, expecting '${expected}'.`);
}

async function answerProperties(
  tree: ObjectTree,
  served: readonly ServedInterface[],
  call: IncomingCall,
): Promise<Answer> {
  const {member, signature} = call;
  const [interfaceName, propertyName] = call.body as string[];
  if (member === 'GetAll') {
    if (signature !== 's') throw invalidArguments('Expected interface parameter');
    return {signature: 'a{sv}', body: [getAll(served, interfaceName ?? '')]};
  }
  if (member !== 'Get' && member !== 'Set') throw unknownMethod(call);
  if (!signature.startsWith('ss')) throw invalidArguments('Expected interface and member parameters');
  const found = served.find(({description}) => description.name === interfaceName);
  const property = found?.description.properties.find(({name}) => name === propertyName);
  if (!found || !property) {
    throw new BusError(
      `${errors}.UnknownProperty`,
      `Unknown interface ${interfaceName} or property ${propertyName}.`,
    );
  }
  if (member === 'Get') {
    return {signature: 'v', body: [[property.type, found.get(property.name)]]};
  }
  await setProperty(tree, {found, property}, call);
  return empty;
}

function getAll(served: readonly ServedInterface[], interfaceName: string): [string, VariantPair][] {
  const wanted = served.filter(({description}) => interfaceName === '' || description.name === interfaceName);
  if (wanted.length === 0 && interfaceName !== '')
    throw new BusError(`${errors}.UnknownInterface`, `Unknown interface '${interfaceName}'.`);
  return wanted.flatMap((one) =>
    one.description.properties.map(({name, type}): [string, VariantPair] => [name, [type, one.get(name)]]),
  );
}

async function setProperty(
  tree: ObjectTree,
  {found, property}: {found: ServedInterface; property: PropertyDescription},
  call: IncomingCall,
): Promise<void> {
  const {name, type, isWritable} = property;
  if (!isWritable || !found.set)
    throw new BusError(`${errors}.PropertyReadOnly`, `Property '${name}' is not writable.`);
  const given = variantOf(call);
  if (given.signature !== type) {
    throw invalidArguments(
      `Incorrect parameters for property '${name}', expected '${type}', got '${given.signature}'.`,
    );
  }
  if (!(await tree.isPrivileged(call.sender))) {
    const text = `Access to ${found.description.name}.${name}() not permitted.`;
    throw new BusError(`${errors}.AccessDenied`, text);
  }
  found.set(name, given.value);
}

/** The connection gives variants with their signature. */
function variantOf({signature, body}: IncomingCall): {signature: string; value: unknown} {
  const value = body[2];
  if (signature !== 'ssv' || typeof value !== 'object' || value === null)
    throw invalidArguments('Expected interface, member and value parameters');
  return value as {signature: string; value: unknown};
}

function unknownObject(path: string): BusError {
  return new BusError(`${errors}.UnknownObject`, `Unknown object '${path}'.`);
}

function unknownMethod(call: IncomingCall): BusError {
  return new BusError(
    `${errors}.UnknownMethod`,
    `Unknown method ${call.member} or interface ${call.interface}.`,
  );
}
