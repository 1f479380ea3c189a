#!/usr/bin/python3
"""Runs a command to which the kernel answers one system call with an error, as the filter of a
container runtime may do.

    deny_call.py NAME ERRNO COMMAND...
"""

import ctypes
import os
import platform
import struct
import sys

# What is needed, by x86-64's and 64-bit ARM's numbers.
NUMBERS = {"capset": (126, 91), "seccomp": (317, 277), "landlock_create_ruleset": (444, 444)}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000


def main():
    name, error = sys.argv[1], int(sys.argv[2])
    number = NUMBERS[name][platform.machine() == "aarch64"]
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | error),
        (RETURN, 0, 0, ALLOW)))
    steps = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.prctl(PR_SET_SECCOMP, MODE_FILTER, header, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.argv[3], sys.argv[3:])


main()
