#!/usr/bin/env python3
"""A second decoder of VHDX and VHD, written from the two specifications and nothing else: clear, and slow on purpose.

It answers lines of JSON: {"format": "vhdx", "files": [leaf, parent, ...], "windows": [[offset, length], ...] or null,
"ranges": [[offset, length], ...]} with the size of the disk, a hash of each 64 KiB cell that is not zero, and a hash of each
range, or with {"refused": why}. Every run of sectors is looked up from the leaf down.

Numbers in brackets are sections of MS-VHDX 6.0; "VHD" is the Virtual Hard Disk Image Format Specification 1.0.
"""

import hashlib
import json
import os
import struct
import sys
import uuid

KIB, MIB, CELL = 1 << 10, 1 << 20, 64 << 10
NIL = uuid.UUID(int=0)


class Refused(Exception):
    """The file must not be opened."""


def demand(condition, why):
    if not condition:
        raise Refused(why)


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = list(crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def seal_is_right(data):
    """A VHDX checksum is the u32 at 4, taken as zero while it is computed."""
    return struct.unpack_from("<I", data, 4)[0] == crc32c(data[:4] + bytes(4) + data[8:])


def guid(data, at):
    return uuid.UUID(bytes_le=bytes(data[at : at + 16]))


class File:
    """Bytes of a file at positions; beyond its end are zeros."""

    def __init__(self, path):
        self.handle = open(path, "rb")
        self.size = os.fstat(self.handle.fileno()).st_size

    def read(self, offset, length):
        data = os.pread(self.handle.fileno(), length, offset)
        return data + bytes(length - len(data))

    def close(self):
        self.handle.close()


class Layer:
    """One file of a chain. `find` says of a piece of one block: ("file", offset), ("zero",), ("parent",) or ("bits", ...)."""

    parent = None

    def read(self, offset, length):
        inside = max(0, min(length, self.size - offset))
        return b"".join(self.pieces(offset, offset + inside)) + bytes(length - inside)

    def pieces(self, start, end):
        for begin, stop, offset, from_parent in self.runs(start, end):
            if offset is not None:
                yield self.bytes_at(offset, stop - begin)
            else:
                yield self.parent.read(begin, stop - begin) if from_parent and self.parent else bytes(stop - begin)

    def data(self, start, end):
        """Ranges outside of which there are only zeros."""
        for begin, stop, offset, from_parent in self.runs(start, min(end, self.size)):
            if offset is not None:
                yield begin, stop
            elif from_parent and self.parent:
                yield from self.parent.data(begin, stop)

    def runs(self, start, end):
        """(start, end, offset in the file or None, the parent is asked)"""
        while start < end:
            stop = min(end, (start // self.block_size + 1) * self.block_size)
            where, *place = self.find(start // self.block_size)
            if where == "bits":
                yield from self.sectors(start, stop, *place)
            else:
                yield start, stop, place[0] + start % self.block_size if where == "file" else None, where == "parent"
            start = stop

    def sectors(self, start, end, data_offset, bit_of):
        """Runs of sectors of one block whose bits are equal."""
        while start < end:
            bit, stop = bit_of(start % self.block_size // self.sector), start
            while stop < end and bit_of(stop % self.block_size // self.sector) == bit:
                stop = (stop // self.sector + 1) * self.sector
            stop = min(stop, end)
            yield start, stop, data_offset + start % self.block_size if bit else None, not bit
            start = stop


BAT = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
FILE_PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
DISK_ID = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
LOGICAL_SECTOR = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL_SECTOR = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
PARENT_LOCATOR = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
KNOWN_ITEMS = {FILE_PARAMETERS, DISK_SIZE, DISK_ID, LOGICAL_SECTOR, PHYSICAL_SECTOR, PARENT_LOCATOR}


class Vhdx(Layer):
    def __init__(self, path):
        self.file = File(path)
        self.changes = []
        self.pages = {}
        demand(self.file.read(0, 8) == b"vhdxfile", "no VHDX")
        self.header = self.current_header()
        self.identity = guid(self.header, 32)
        if guid(self.header, 48) != NIL:
            self.changes = replay(self.file, self.header)
        regions = self.regions()
        self.bat = regions[BAT]
        self.read_metadata(regions[METADATA])
        self.sector_count = self.block_size // self.sector
        self.chunk_ratio = (1 << 23) * self.sector // self.block_size

    def current_header(self):
        """[2.2.2] The valid one with the larger number; equal numbers only in equal headers."""
        copies = [self.file.read(at, 4 * KIB) for at in (64 * KIB, 128 * KIB)]
        valid = [copy for copy in copies if copy[:4] == b"head" and seal_is_right(copy)]
        demand(valid, "no valid header")
        valid.sort(key=lambda copy: struct.unpack_from("<Q", copy, 8)[0])
        if len(valid) == 2 and valid[0][8:16] == valid[1][8:16]:
            demand(valid[0] == valid[1], "two headers of one number")
        log_version, version = struct.unpack_from("<HH", valid[-1], 64)
        demand(version == 1 and log_version == 0, "unknown version")
        return valid[-1]

    def bytes_at(self, offset, length):
        """[2.3.3] The file as a replay of the log would leave it."""
        data = bytearray(self.file.read(offset, length))
        for start, end, content in self.changes:
            low, high = max(start, offset), min(end, offset + length)
            if low < high:
                data[low - offset : high - offset] = content[low - start : high - start] if content else bytes(high - low)
        return bytes(data)

    def regions(self):
        """[2.2.3] Two copies of one table, one of which suffices."""
        copies = [self.bytes_at(at, 64 * KIB) for at in (192 * KIB, 256 * KIB)]
        table = next((copy for copy in copies if copy[:4] == b"regi" and seal_is_right(copy)), None)
        demand(table, "no valid region table")
        found = {}
        for index in range(struct.unpack_from("<I", table, 8)[0]):
            at = 16 + 32 * index
            offset, _, required = struct.unpack_from("<QII", table, at + 16)
            name = guid(table, at)
            demand(name in (BAT, METADATA) or not required & 1, "unknown required region")
            found[name] = offset
        demand(BAT in found and METADATA in found, "a region is missing")
        return found

    def read_metadata(self, region):
        """[2.6]"""
        table = self.bytes_at(region, 64 * KIB)
        demand(table[:8] == b"metadata", "no metadata table")
        items = {}
        for index in range(struct.unpack_from("<H", table, 10)[0]):
            at = 32 + 32 * index
            offset, length, flags = struct.unpack_from("<III", table, at + 16)
            if flags & 1:
                continue
            name = guid(table, at)
            demand(name in KNOWN_ITEMS or not flags & 4, "unknown required item")
            items[name] = self.bytes_at(region + offset, length)
        self.block_size, flags = struct.unpack("<II", items[FILE_PARAMETERS])
        self.size = struct.unpack("<Q", items[DISK_SIZE])[0]
        self.sector = struct.unpack("<I", items[LOGICAL_SECTOR])[0]
        self.disk_id = guid(items[DISK_ID], 0)
        self.differencing = bool(flags & 2)
        self.locator = locator_of(items[PARENT_LOCATOR]) if self.differencing else {}

    def is_child_of(self, parent):
        """[2.6.2.6] Either linkage names the parent's DataWriteGuid."""
        linkages = [self.locator.get(key) for key in ("parent_linkage", "parent_linkage2")]
        return parent.identity in [uuid.UUID(text) for text in linkages if text]

    def entry(self, index):
        """[2.5.1] State and place of one entry of the block table, read a page at a time."""
        page = index // 8192
        if page not in self.pages:
            self.pages[page] = self.bytes_at(self.bat + page * CELL, CELL)
        (value,) = struct.unpack_from("<Q", self.pages[page], index % 8192 * 8)
        return value & 7, (value >> 20) * MIB

    def find(self, block):
        state, offset = self.entry(block + block // self.chunk_ratio)
        demand(state not in (4, 5), "unknown block state")
        if state == 6 or state == 7 and not self.differencing:
            return "file", offset
        if state == 7:
            return "bits", offset, self.bits_of(block)
        return ("parent",) if state == 0 and self.differencing else ("zero",)

    def bits_of(self, block):
        """[2.4.2] One bit a sector of the chunk, the least significant first."""
        chunk = block // self.chunk_ratio
        state, offset = self.entry((chunk + 1) * self.chunk_ratio + chunk)
        demand(state == 6, "partially present without a sector bitmap")
        first = block % self.chunk_ratio * self.sector_count
        bits = self.bytes_at(offset + first // 8, self.sector_count // 8)
        return lambda sector: bits[sector // 8] >> sector % 8 & 1 == 1


def locator_of(item):
    """[2.6.2.6] Keys and values in UTF-16."""
    pairs = {}
    for index in range(struct.unpack_from("<H", item, 18)[0]):
        key, value, key_length, value_length = struct.unpack_from("<IIHH", item, 20 + 12 * index)
        text = item[value : value + value_length].decode("utf-16-le")
        pairs[item[key : key + key_length].decode("utf-16-le")] = text
    return pairs


def replay(file, header):
    """[2.3.2] What the newest valid sequence of the log changes: (start, end, bytes or None for zeros), in order."""
    length, start = struct.unpack_from("<IQ", header, 68)
    ring = file.read(start, length)
    log_guid = guid(header, 48)
    best = []
    for tail in range(0, length, 4 * KIB):
        sequence, at = [], tail
        while True:
            entry = log_entry(ring, at, log_guid)
            if not entry or sequence and entry["number"] != sequence[-1]["number"] + 1:
                break
            if sum(one["length"] for one in sequence) + entry["length"] > length:
                break
            sequence.append(entry)
            at = (at + entry["length"]) % length
        starts = [entry["at"] for entry in sequence]
        if sequence and sequence[-1]["tail"] in starts and (not best or sequence[-1]["number"] > best[-1]["number"]):
            best = sequence[starts.index(sequence[-1]["tail"]) :]
    demand(best, "the log has no valid sequence")
    demand(file.size >= best[-1]["flushed"], "the file was cut")
    file.size = max(file.size, best[-1]["last"])
    return [change for entry in best for change in entry["changes"]]


def log_entry(ring, at, log_guid):
    """[2.3.1] The entry at `at` of the ring, or None when it is not whole, or another session's."""
    around = lambda offset, length: (ring[offset:] + ring[:offset])[:length] if offset + length > len(ring) else ring[offset : offset + length]
    head = around(at, 64)
    length, tail, number, count = struct.unpack_from("<IIQI", head, 8)
    if head[:4] != b"loge" or guid(head, 32) != log_guid or number == 0:
        return None
    if length == 0 or length % (4 * KIB) or length > len(ring):
        return None
    entry = around(at, length)
    if not seal_is_right(entry):
        return None
    area = -(-(64 + 32 * count) // (4 * KIB)) * 4 * KIB
    changes = []
    for index in range(count):
        signature, low, high, offset, of_entry = struct.unpack_from("<4s4s8sQQ", entry, 64 + 32 * index)
        if of_entry != number:
            return None
        if signature == b"zero":
            changes.append((offset, offset + struct.unpack("<Q", high)[0], None))
            continue
        sector = entry[area : area + 4 * KIB]
        area += 4 * KIB
        torn = struct.unpack_from("<I", sector, 4)[0] << 32 | struct.unpack_from("<I", sector, 4092)[0]
        if signature != b"desc" or sector[:4] != b"data" or torn != number:
            return None
        changes.append((offset, offset + 4 * KIB, high + sector[8:4092] + low))
    if area != length:
        return None
    flushed, last = struct.unpack_from("<QQ", head, 48)
    return dict(at=at, length=length, tail=tail, number=number, flushed=flushed, last=last, changes=changes)


FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4


class Vhd(Layer):
    sector = 512

    def __init__(self, path):
        self.file = File(path)
        self.pages = {}
        footer = self.footer()
        (self.size,) = struct.unpack_from(">Q", footer, 48)
        (self.kind,) = struct.unpack_from(">I", footer, 60)
        demand(self.kind in (FIXED, DYNAMIC, DIFFERENCING), "unknown disk type")
        self.identity = uuid.UUID(bytes=footer[68:84])
        self.differencing = self.kind == DIFFERENCING
        if self.kind == FIXED:
            self.block_size = self.size
        else:
            self.read_header(struct.unpack_from(">Q", footer, 16)[0])

    def footer(self):
        """VHD, "Hard Disk Footer Format": at the end, of 512 bytes or once 511; a copy at the start when not fixed."""
        for at in (self.file.size - 512, self.file.size - 511, 0):
            footer = self.file.read(at, 512 if at != self.file.size - 511 else 511).ljust(512, b"\0")
            if footer[:8] == b"conectix" and ones_complement_is_right(footer, 64):
                return footer
        raise Refused("no valid footer")

    def read_header(self, at):
        """VHD, "Dynamic Disk Header Format"."""
        header = self.file.read(at, 1024)
        demand(header[:8] == b"cxsparse" and ones_complement_is_right(header, 36), "no valid dynamic header")
        (self.table,) = struct.unpack_from(">Q", header, 16)
        self.entries, self.block_size = struct.unpack_from(">II", header, 28)
        self.parent_id = uuid.UUID(bytes=header[40:56])
        self.bitmap_size = -(-self.block_size // 512 // 8 // 512) * 512
        demand(self.entries * self.block_size >= self.size, "the table is too small")

    def is_child_of(self, parent):
        return self.parent_id == parent.identity

    def bytes_at(self, offset, length):
        return self.file.read(offset, length)

    def find(self, block):
        """VHD, "Block Allocation Table and Data Blocks": each block has a bitmap in front, the most significant bit first."""
        if self.kind == FIXED:
            return "file", 0
        page = block // 16384
        if page not in self.pages:
            self.pages[page] = self.file.read(self.table + page * CELL, CELL)
        (entry,) = struct.unpack_from(">I", self.pages[page], block % 16384 * 4)
        if entry == 0xFFFFFFFF:
            return ("parent",)
        bits = self.file.read(entry * 512, self.bitmap_size)
        return "bits", entry * 512 + self.bitmap_size, lambda sector: bits[sector // 8] & 0x80 >> sector % 8 != 0


def ones_complement_is_right(data, at):
    return struct.unpack_from(">I", data, at)[0] == ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF


def open_chain(kind, paths):
    layers = [(Vhdx if kind == "vhdx" else Vhd)(path) for path in paths]
    for child, parent in zip(layers, layers[1:]):
        demand(child.differencing and child.is_child_of(parent), "not its parent")
        demand(child.sector == parent.sector, "sector sizes differ")
        child.parent = parent
    demand(not layers[-1].differencing, "the last file has a parent")
    return layers


def cells_of(disk, windows):
    """Hashes of the cells that are not zero."""
    found, seen = {}, -1
    for offset, length in windows or [[0, disk.size]]:
        for start, end in disk.data(offset, offset + length):
            for cell in range(max(seen + 1, start // CELL), -(-end // CELL)):
                seen = cell
                data = disk.read(cell * CELL, min(CELL, disk.size - cell * CELL))
                if data.count(0) < len(data):
                    found[cell] = hash_of(data)
    return found


def hash_of(data):
    return hashlib.sha256(data).hexdigest()[:16]


def answer(question):
    layers = open_chain(question["format"], question["files"])
    disk = layers[0]
    try:
        ranges = [hash_of(disk.read(offset, length)) for offset, length in question["ranges"]]
        return {"size": disk.size, "cells": cells_of(disk, question["windows"]), "ranges": ranges}
    finally:
        for layer in layers:
            layer.file.close()


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Refused as reason:
        reply = {"refused": str(reason)}
    print(json.dumps(reply), flush=True)
