/**
 * Which descriptors a transfer takes (spec/import1-dbus.md §5). Sockets, O_NONBLOCK and O_APPEND are taken, unlike by
 * importd: Node's pipes and a shell's `>>` have them, and systemd's manual promises sockets (design.md §7).
 */

import {closeSync, constants, fstatSync} from 'node:fs';
import {descriptorFlags} from '../../sys/descriptors.ts';
import type {IncomingCall} from '../bus-messages.ts';
import {errnoError} from './call-errors.ts';

const {O_NONBLOCK, O_APPEND, O_NOFOLLOW, O_DIRECTORY} = constants;

/** The descriptor that an `h` argument stands for; closed when its scope ends. */
export class TakenDescriptor {
  readonly fd: number;

  constructor(call: IncomingCall, index: unknown) {
    this.fd = call.takeFd(Number(index));
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

export function checkStreamDescriptor(fd: number): void {
  checkFlags(fd, O_NOFOLLOW | O_NONBLOCK | O_APPEND);
  const stats = fstatSync(fd);
  if (!stats.isFile() && !stats.isFIFO() && !stats.isSocket()) throw errnoError('EINVAL');
}

export function checkDirectoryDescriptor(fd: number): void {
  checkFlags(fd, O_NOFOLLOW | O_NONBLOCK | O_APPEND | O_DIRECTORY);
  if (!fstatSync(fd).isDirectory()) throw errnoError('ENOTDIR');
}

function checkFlags(fd: number, allowed: number): void {
  if ((descriptorFlags(fd).others & ~allowed) !== 0) throw errnoError('EREMOTEIO');
}
