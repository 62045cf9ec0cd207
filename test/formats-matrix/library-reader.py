#!/usr/bin/env python3
"""Disks as libvhdi and libvmdk read them, asked and answered as second-decoder.py is, but for "ranges"."""

import hashlib
import json
import sys

import pyvhdi
import pyvmdk

CELL = 64 << 10


def open_vhd(paths):
    files = [pyvhdi.file() for _ in paths]
    for file, path in zip(files, paths):
        file.open(path)
    for child, parent in zip(files, files[1:]):
        child.set_parent(parent)
    return files


def open_vmdk(paths):
    handle = pyvmdk.handle()
    handle.open(paths[0])
    handle.open_extent_data_files()
    return [handle]


def answer(question):
    files = (open_vmdk if question["format"] == "vmdk" else open_vhd)(question["files"])
    disk = files[0]
    size = disk.get_media_size()
    cells = {}
    for offset, length in question["windows"] or [[0, size]]:
        for at in range(offset, min(offset + length, size), CELL):
            data = disk.read_buffer_at_offset(min(CELL, size - at), at)
            if data.count(0) < len(data):
                cells[at // CELL] = hashlib.sha256(data).hexdigest()[:16]
    for file in files:
        file.close()
    return {"size": size, "cells": cells}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except OSError as reason:
        reply = {"refused": str(reason)}
    print(json.dumps(reply), flush=True)
