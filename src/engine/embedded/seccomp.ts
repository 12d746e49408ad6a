/**
 * The filter on system calls for unpacking children (spec/sandbox.md §4): what leads out of a sandbox or into
 * rarely used kernel code is answered EPERM. A classic BPF program in the kernel's own layout (seccomp(2)).
 */
import {closeSync, openSync, unlinkSync, writeSync} from 'node:fs';
import path from 'node:path';
import {randomHex} from '../../sys/random-hex.ts';
import {stagedFilter} from '../../sys/staging.ts';

interface Architecture {
  /** AUDIT_ARCH_… of linux/audit.h. */
  audit: number;
  clone: number;
  /**
   * unshare, setns, mount, umount2, pivot_root, chroot, ptrace, process_vm_readv, process_vm_writev, bpf,
   * perf_event_open, init_module, finit_module, kexec_load, kexec_file_load, socket, keyctl, add_key,
   * request_key, userfaultfd.
   */
  denied: readonly number[];
}

const architectures: Partial<Record<NodeJS.Architecture, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    denied: [
      272, 308, 165, 166, 155, 161, 101, 310, 311, 321, 298, 175, 313, 246, 320, 41, 250, 248, 249, 323,
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    clone: 220,
    denied: [97, 268, 40, 39, 41, 51, 117, 270, 271, 280, 241, 105, 273, 104, 294, 198, 219, 217, 218, 282],
  },
};

/** Same everywhere: open_tree, move_mount, fsopen, fsconfig, fsmount, mount_setattr, io_uring_setup. */
const deniedEverywhere = [428, 429, 430, 431, 432, 442, 425];
const clone3 = 435;
const firstX32 = 0x40000000;
const CLONE_NEWUSER = 0x10000000;

const EPERM = 1;
const ENOSYS = 38;
const allow = 0x7fff0000;
const kill = 0x80000000;
const fail = (errno: number) => 0x00050000 | errno;

type Instruction = [code: number, jumpTrue: number, jumpFalse: number, value: number];
const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const skipUnlessEqual = (value: number): Instruction => [0x15, 0, 1, value];
const skipUnlessAtLeast = (value: number): Instruction => [0x35, 0, 1, value];
const skipUnlessBits = (value: number): Instruction => [0x45, 0, 1, value];
const end = (action: number): Instruction => [0x06, 0, 0, action];

// Offsets in struct seccomp_data.
const numberOffset = 0;
const architectureOffset = 4;
const firstArgumentOffset = 16;

/** The program, or undefined for an architecture whose numbers are not known here. */
export function seccompProgram(architecture: NodeJS.Architecture): Buffer | undefined {
  const known = architectures[architecture];
  if (!known) return undefined;
  const instructions: Instruction[] = [
    load(architectureOffset),
    [0x15, 1, 0, known.audit],
    end(kill),
    load(numberOffset),
    skipUnlessAtLeast(firstX32),
    end(fail(EPERM)),
    // The C library then uses clone, whose flags a filter can see.
    skipUnlessEqual(clone3),
    end(fail(ENOSYS)),
    ...[...known.denied, ...deniedEverywhere].flatMap((number) => [
      skipUnlessEqual(number),
      end(fail(EPERM)),
    ]),
    [0x15, 1, 0, known.clone],
    end(allow),
    load(firstArgumentOffset),
    skipUnlessBits(CLONE_NEWUSER),
    end(fail(EPERM)),
    end(allow),
  ];
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(([code, jumpTrue, jumpFalse, value], index) => {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(jumpTrue, index * 8 + 2);
    program.writeUInt8(jumpFalse, index * 8 + 3);
    program.writeUInt32LE(value >>> 0, index * 8 + 4);
  });
  return program;
}

/** The program as an open file that has no name any more; the caller closes it. */
export function openSeccompProgram(directory: string): number | undefined {
  const program = seccompProgram(process.arch);
  if (!program) return undefined;
  const file = path.join(directory, `${stagedFilter}${randomHex(8)}`);
  const fd = openSync(file, 'wx+', 0o600);
  try {
    unlinkSync(file);
    writeSync(fd, program, 0, program.length, 0); // at a position, so that the reader starts at the beginning
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
