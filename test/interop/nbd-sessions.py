"""Sessions with an NBD server as nobody would hold them, by libnbd: options in any order, then requests with any flags.

    nbd-sessions.py SOCKET SIZE SEED SESSIONS NAME...

Every answer is held against what the names and a model of each disk say. The first that is wrong ends it with status 1.
"""
import errno
import random
import sys

import nbd

socket, size, seed, sessions, *names = sys.argv[1:]
size = int(size)
dice = random.Random(int(seed))
content = {name: bytearray(size) for name in names}
NAMES = [*names, "", "no such", "ü" * 7, "x" * 4095, names[0] + " ", names[0].upper(), "../" + names[0]]
CONTEXTS = ["base:allocation", "base:", "base:other", "qemu:dirty-bitmap:x", "x:" + "y" * 4000]
tally = {"went": 0, "refused": 0, "requests": 0, "rejected": 0}


def errno_of(work):
    try:
        work()
        return 0
    except nbd.Error as error:
        return error.errnum or errno.EIO


def expect(condition, what):
    if not condition:
        sys.exit(f"seed {seed}: {what}")


def negotiated():
    handle = nbd.NBD()
    handle.set_opt_mode(True)
    handle.set_strict_mode(0)
    handle.set_request_structured_replies(dice.random() < 0.8)
    for context in dice.sample(CONTEXTS, dice.randrange(3)):
        handle.add_meta_context(context)
    handle.connect_unix(socket)
    for _ in range(dice.randrange(8)):
        option(handle)
    name = dice.choice(dice.choice([names, NAMES]))
    handle.set_export_name(name)
    handle.set_full_info(dice.random() < 0.5)
    failed = errno_of(handle.opt_go)
    expect((failed == 0) == (name in names), f"GO for {name[:20]!r}: {failed}")
    if failed:
        tally["refused"] += 1
        handle.opt_abort()
        return None, None
    tally["went"] += 1
    return handle, name


def option(handle):
    what = dice.randrange(4)
    name = dice.choice(NAMES)
    handle.set_export_name(name)
    if what == 0:
        failed = errno_of(handle.opt_info)
        expect((failed == 0) == (name in names), f"INFO for {name[:20]!r}: {failed}")
        if not failed:
            expect(handle.get_size() == size, "the size INFO tells")
    elif what == 1:
        found = []
        handle.opt_list(lambda each, _description: found.append(each) or 0)
        expect(sorted(found) == sorted(names), f"LIST tells {found}")
    elif what == 2:
        found = []
        asked = errno_of(lambda: handle.opt_list_meta_context(lambda each: found.append(each) or 0))
        expect(asked != 0 or set(found) <= {"base:allocation"}, f"contexts {found}")
    else:
        handle.clear_meta_contexts()
        for context in dice.sample(CONTEXTS, dice.randrange(3)):
            handle.add_meta_context(context)


def requests(handle, model):
    for _ in range(dice.randrange(1, 16)):
        offset = dice.choice([0, size - 1, dice.randrange(size), dice.randrange(size + 70000)])
        length = dice.choice([0, 1, 512, 4096, dice.randrange(1, 200000)])
        tally["requests"] += 1
        if request(handle, model, offset, length):
            tally["rejected"] += 1
    failed = errno_of(lambda: expect(handle.pread(size, 0) == model, "the whole disk at the end"))
    expect(failed == 0, f"the whole disk cannot be read: {failed}")


def request(handle, model, offset, length):
    """True: refused, rightly."""
    flags = dice.randrange(32) if dice.random() < 0.3 else 0
    what = dice.choice(["read", "read", "write", "zero", "trim", "flush", "status", "cache"])
    if what == "cache":
        return expect(errno_of(lambda: handle.cache(length, offset)) != 0, "CACHE is not offered") or True
    if what == "flush":
        return expect(errno_of(handle.flush) == 0, "flush") or False
    if what == "status":
        return status(handle, model, offset, length)
    fits = length > 0 and offset + length <= size
    if what == "read":
        df = nbd.CMD_FLAG_DF if flags & 4 and handle.can_df() else 0
        failed = errno_of(lambda: expect(handle.pread(length, offset, df) == model[offset : offset + length], "a read"))
        return outcome(what, failed, fits or length == 0, (errno.EINVAL,))
    fua = nbd.CMD_FLAG_FUA if flags & 1 else 0
    if what == "write":
        data = dice.randbytes(length)
        failed = errno_of(lambda: handle.pwrite(data, offset, fua))
    elif what == "zero":
        data = bytes(length)
        failed = errno_of(lambda: handle.zero(length, offset, fua | (nbd.CMD_FLAG_NO_HOLE if flags & 2 else 0)))
    else:
        data = bytes(length)
        failed = errno_of(lambda: handle.trim(length, offset, fua))
    if failed == 0:
        model[offset : offset + length] = data
    return outcome(what, failed, fits or length == 0, (errno.EINVAL, errno.ENOSPC))


def outcome(what, failed, right, numbers):
    if failed == 0:
        return expect(right, f"{what} beyond the end succeeded") or False
    return expect(failed in numbers and not right or failed == errno.EINVAL, f"{what} failed with {failed}") or True


def status(handle, model, offset, length):
    """What is told as zeros is zeros, and the beginning of what was asked for is told of."""
    runs = []
    failed = errno_of(lambda: handle.block_status(length, offset, lambda _c, _o, entries, _e: runs.extend(entries) or 0))
    if failed:
        agreed = handle.can_meta_context("base:allocation")
        return expect(not agreed or length == 0 or offset + length > size, f"block status failed with {failed}") or True
    if not handle.can_meta_context("base:allocation"):
        return False  # agreed by an INFO before, which libnbd does not remember
    at = offset
    for count, state in zip(runs[0::2], runs[1::2]):
        expect(count > 0 and at < offset + length, "runs of block status")
        expect(not state & 2 or not any(model[at : at + count]), f"{count} bytes at {at} are not zeros")
        at += count
    return expect(at > offset, "block status of nothing") or False


for _ in range(int(sessions)):
    handle, name = negotiated()
    if handle is None:
        continue
    requests(handle, content[name])
    handle.shutdown()
print(tally)
