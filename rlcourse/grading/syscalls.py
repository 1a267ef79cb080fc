"""System calls that a student's process may not make: a filter in the kernel (seccomp), for good.

They are those that reach other processes of the same account, or its files, past the other locks: a new socket
speaks to services that run programs for whoever asks; `prlimit` and its like end or slow down a
neighbour; `chmod` and its like touch files that may only be read. Standard library only.
"""

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP, _FILTER = 22, 2
# The architecture as the kernel names it, and the numbers of the calls there.
_X86 = (0xC000003E, 302, {
    "socket": 41, "io_uring_setup": 425, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
    "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203,
    "sched_setattr": 314, "ioprio_set": 251, "migrate_pages": 256, "move_pages": 279,
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94,
    "fchownat": 260, "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "open_by_handle_at": 304, "add_key": 248, "request_key": 249, "keyctl": 250})
_ARM = (0xC00000B7, 261, {
    "socket": 198, "io_uring_setup": 425, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
    "setpriority": 140, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122,
    "sched_setattr": 274, "ioprio_set": 30, "migrate_pages": 238, "move_pages": 239,
    "fchmod": 52, "fchmodat": 53, "fchmodat2": 452, "fchownat": 54, "fchown": 55, "utimensat": 88,
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "open_by_handle_at": 265, "add_key": 217, "request_key": 218, "keyctl": 219})
_KNOWN = {"x86_64": _X86, "aarch64": _ARM}
_LOAD, _EQUAL, _AT_LEAST, _ANSWER = 0x20, 0x15, 0x35, 0x06  # instructions of the filter's little machine
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_CALL, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # where they stand in what the filter sees
_OTHER_NUMBERS = 0x40000000  # of the x32 variant of the same architecture


def refuse_calls() -> bool:
    """Refuse them from now on, here and in every process that is started; whether that was possible.

    `prlimit` remains allowed for the process itself, which is how limits are read.
    """
    known = _KNOWN.get(os.uname().machine)
    if known is None:
        return False
    architecture, prlimit, refused = known
    tail = [(_EQUAL, 0, 2, prlimit), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 0, 1, 0),
            (_ANSWER, 0, 0, _ALLOW), (_ANSWER, 0, 0, _REFUSE)]
    calls, ending = sorted(refused.values()), len(tail) - 1  # the last line refuses
    # (instruction, lines to skip if true, if false, operand)
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 0, len(calls) + ending + 2, architecture), (_LOAD, 0, 0, _CALL),
             (_AT_LEAST, len(calls) + ending, 0, _OTHER_NUMBERS),
             *((_EQUAL, len(calls) - 1 - index + ending, 0, number) for index, number in enumerate(calls)), *tail]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    described = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(program)))
    return ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(described), 0, 0) == 0
