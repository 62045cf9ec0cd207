#!/usr/bin/env python3
"""A second reader of hvlift repositories, written from docs/formats/repository.md and nothing else.

    repository-reader.py FOLDER points
    repository-reader.py FOLDER restore POINT DISK FILE [--places index|trailers|walk]

The secret is taken from HVLIFT_PASSPHRASE or HVLIFT_RECOVERY_KEY; with neither, the repository has to be plain. Everything
that is read is verified. Exit codes: 0 done, 1 damage, 2 the secret does not fit or something else is refused.

Needs Debian's python3-cryptography and python3-zstandard.
"""

import argparse
import bisect
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import unicodedata
from pathlib import Path

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIB = 1 << 20
SLOT = MIB
CELL = 64 << 10
CELLS = 16
FAN_OUT = 256
RAW_MAX = 16 * MIB
TAG = 16
KINDS = {"data": 1, "leaf": 2, "node": 3, "blob": 4, "manifest": 5, "baseline": 6, "journal": 7}

OBJECT_HEADER = struct.Struct("<8sBBBxII32s16s12s12xI")
PACK_HEADER = struct.Struct("<8sII16s16s12xI")
TRAILER_ENTRY = struct.Struct("<32sIIIB3x")
PACK_FOOTER = struct.Struct("<IIII16s20x8sI")
SEGMENT_HEADER = struct.Struct("<8sIIIIII16s16sQ52xI")
PACK_TABLE_ENTRY = struct.Struct("<16sII")
SEGMENT_ENTRY = struct.Struct("<32sIIII")


class Damage(Exception):
    pass


class Refused(Exception):
    pass


def check(condition, problem):
    if not condition:
        raise Damage(problem)


# --- checksums, canonical JSON ------------------------------------------------------------------------------------------


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def check_ends_with_crc(data, what):
    check(struct.unpack_from("<I", data, len(data) - 4)[0] == crc32c(data[:-4]), f"the checksum of {what} is wrong")


def canonical(value):
    """The text, as UTF-8. Lone surrogates are escaped, all else beyond ASCII stands for itself."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return b"{" + b",".join(canonical(key) + b":" + canonical(value[key]) for key in keys) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(canonical(each) for each in value) + b"]"
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda lone: f"\\u{ord(lone[0]):04x}", text).encode()


def without(value, member):
    return {key: each for key, each in value.items() if key != member}


def parse_object(data, what):
    try:
        value = json.loads(data)
    except ValueError:
        raise Damage(f"{what} holds no JSON") from None
    check(isinstance(value, dict), f"{what} holds no JSON object")
    return value


def read_checked(path):
    data = path.read_bytes()
    value = parse_object(data, path.name)
    digest = hashlib.sha256(canonical(without(value, "checksum"))).hexdigest()
    check(value.get("checksum") == digest, f"the checksum of {path.name} is wrong")
    return value, data


# --- keys ---------------------------------------------------------------------------------------------------------------


def hkdf(key, salt, info):
    """RFC 5869 with SHA-256, for 32 bytes."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def parse_recovery_key(text):
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    plain = re.sub(r"[\s-]", "", text.upper()).replace("O", "0").replace("I", "1").replace("L", "1")
    if len(plain) != 56 or any(each not in alphabet for each in plain):
        raise Refused("this is not a recovery key")
    number = 0
    for each in plain:
        number = number * 32 + alphabet.index(each)
    data = number.to_bytes(35, "big")
    if hashlib.sha256(b"hvlift recovery key" + data[:32]).digest()[:3] != data[32:]:
        raise Refused("the recovery key was mistyped")
    return data[:32]


def wrapping_key(slot):
    salt = bytes.fromhex(slot["salt"])
    if slot["kind"] == "recovery":
        return hkdf(parse_recovery_key(os.environ["HVLIFT_RECOVERY_KEY"]), salt, b"hvlift v1 recovery")
    passphrase = unicodedata.normalize("NFC", os.environ["HVLIFT_PASSPHRASE"]).encode()
    cost = slot["scrypt"]
    if cost["N"] > 1 << 20 or cost["r"] > 16 or cost["p"] > 4:
        raise Damage("a key file asks for too costly a derivation")
    memory = 256 * cost["N"] * cost["r"]
    return hashlib.scrypt(passphrase, salt=salt, n=cost["N"], r=cost["r"], p=cost["p"], maxmem=memory, dklen=32)


def master_key(folder, header, header_bytes):
    kind = "clear"
    if "HVLIFT_PASSPHRASE" in os.environ:
        kind = "passphrase"
    elif "HVLIFT_RECOVERY_KEY" in os.environ:
        kind = "recovery"
    if (kind == "clear") != (header["encryption"] == "none"):
        raise Refused("a secret is needed" if kind == "clear" else "the repository is not encrypted")
    for path in sorted((folder / "keys").iterdir()):
        slot, _ = read_checked(path)
        if slot["kind"] != kind or slot["repositoryId"] != header["repositoryId"]:
            continue
        key = bytes.fromhex(slot["key"])
        if kind == "clear":
            return key
        try:
            bound_to = hashlib.sha256(header_bytes).digest()
            return AESGCM(wrapping_key(slot)).decrypt(bytes.fromhex(slot["nonce"]), key, bound_to)
        except InvalidTag:
            continue
    raise Refused("the secret does not open the repository")


# --- objects ------------------------------------------------------------------------------------------------------------


class ObjectHeader:
    def __init__(self, data):
        check(len(data) >= OBJECT_HEADER.size, "an object is cut short")
        self.bytes = bytes(data[: OBJECT_HEADER.size])
        check_ends_with_crc(self.bytes, "an object's header")
        (magic, self.kind, self.compression, self.encryption, self.raw_length, self.stored_length, self.id, self.salt,
         self.nonce, _) = OBJECT_HEADER.unpack(self.bytes)  # fmt: skip
        check(magic == b"HVLOBJ\x1a\n", "there is no object where one should be")
        possible = self.raw_length <= RAW_MAX and self.stored_length <= RAW_MAX + TAG
        check(possible and self.compression <= 1 and self.encryption <= 1, "an object's header is impossible")


class Repository:
    def __init__(self, folder, places):
        self.folder = folder
        header, header_bytes = read_checked(folder / "hvlift.json")
        check(header.get("format") == "hvlift-repository", "this is not a repository")
        if header["formatVersion"] != 1:
            raise Refused(f"format {header['formatVersion']} is not known")
        self.id = bytes.fromhex(header["repositoryId"])
        self.encrypted = header["encryption"] == "aes-256-gcm"
        master = master_key(folder, header, header_bytes)
        self.id_key, self.seal_key, self.manifest_key, self.name_key = (
            hkdf(master, self.id, f"hvlift v1 {purpose}".encode()) for purpose in ("id", "seal", "manifest", "name")
        )
        self.find = {"index": Index, "trailers": Trailers, "walk": Walk}[places](self).find

    def open_object(self, data, kind, object_id=None):
        header = ObjectHeader(data)
        name = f"{kind} object {header.id.hex()}"
        check(header.kind == KINDS[kind], f"{name} is of another kind")
        check(object_id in (None, header.id), f"{name} stands in the place of another")
        stored = data[OBJECT_HEADER.size : OBJECT_HEADER.size + header.stored_length]
        check(len(stored) == header.stored_length, f"{name} is cut short")
        raw = self._unpack(header, self._decrypt(header, stored, name), name)
        actual = hmac.digest(self.id_key, bytes([header.kind]) + raw, "sha256")
        check(len(raw) == header.raw_length and actual == header.id, f"the content of {name} does not have its id")
        return raw

    def _decrypt(self, header, stored, name):
        check(header.encryption == int(self.encrypted), f"{name} is not encrypted as the repository is")
        if not self.encrypted:
            return stored
        key = hmac.digest(self.seal_key, header.salt, "sha256")
        try:
            return AESGCM(key).decrypt(header.nonce, bytes(stored), header.bytes)
        except (InvalidTag, ValueError):
            raise Damage(f"{name} is not what was sealed") from None

    def _unpack(self, header, body, name):
        if header.compression == 0:
            return bytes(body)
        try:
            stated = zstandard.frame_content_size(body)
            check(stated in (-1, header.raw_length), f"{name} has another length than its header says")
            reader = zstandard.ZstdDecompressor(max_window_size=32 * MIB)
            return reader.decompress(body, max_output_size=max(1, header.raw_length))
        except zstandard.ZstdError:
            raise Damage(f"{name} cannot be decompressed") from None

    def read(self, kind, object_id):
        pack, offset, stored_length = self.find(object_id)
        with open(pack_path(self.folder, pack), "rb") as file:
            file.seek(offset)
            return self.open_object(file.read(OBJECT_HEADER.size + stored_length), kind, object_id)

    # --- restore points

    def points(self):
        for path in sorted(self.folder.glob("points/*/*")):
            name = re.fullmatch(r"(\d{8}t\d{6}\.\d{3}z)-([0-9a-f]{16})", path.name)
            if name:
                yield self._point(path, *name.groups())

    def _point(self, path, time, point_id):
        value = parse_object(self.open_object(path.read_bytes(), "manifest"), path.name)
        check(value["formatVersion"] == 1, f"{path.name} has another format")
        digest = hmac.new(self.manifest_key, canonical(without(value, "digest")), "sha256").hexdigest()
        check(value["digest"] == digest, f"the digest of {path.name} is wrong")
        vm = hmac.new(self.name_key, value["vm"]["id"].lower().encode(), "sha256").hexdigest()[:16]
        stamp = value["created"].replace("-", "").replace(":", "").lower()
        check((value["id"], stamp, vm) == (point_id, time, path.parent.name), f"{path.name} is another point")
        return value

    def restore(self, point_id, disk_id, target):
        point = next((each for each in self.points() if each["id"] == point_id), None)
        disk = next((each for each in point["disks"] if each["diskId"] == disk_id), None) if point else None
        if not disk:
            raise Refused("there is no such disk")
        self.read("blob", bytes.fromhex(point["vm"]["configuration"]))
        for file in point["vm"].get("files", []):
            self.read("blob", bytes.fromhex(file["blob"]))
        with open(target, "wb") as file:
            file.truncate(disk["size"])
            for slot, cells in self._slots(disk["root"], disk["size"]):
                self._write_slot(file, slot, cells, disk["size"])

    def _write_slot(self, file, slot, cells, size):
        chunks = {}
        for index, cell in enumerate(cells):
            at = slot * SLOT + index * CELL
            if cell is None or at >= size:
                continue
            object_id, source = cell
            if object_id not in chunks:
                chunks[object_id] = self.read("data", object_id)
            file.seek(at)
            file.write(chunks[object_id][source * CELL : (source + 1) * CELL][: size - at])

    # --- the map

    def _slots(self, root, size):
        slots = -(-size // SLOT)
        levels = 1
        while FAN_OUT**levels < slots:
            levels += 1
        check(root["levels"] == levels, "the root of a map does not fit the size of its disk")
        if root["id"] is not None:
            yield from self._below(bytes.fromhex(root["id"]), levels - 1, 0, slots)

    def _below(self, page_id, level, first, slots):
        """(slot, 16 cells) of every slot that is not zeros; a cell is None for zeros, or a chunk and a cell of it."""
        if level == 0:
            for index, cells in enumerate(decode_leaf(self.read("leaf", page_id))):
                if cells and first + index < slots:
                    yield first + index, cells
            return
        for index, child in enumerate(decode_node(self.read("node", page_id), level)):
            start = first + index * FAN_OUT**level
            if child and start < slots:
                yield from self._below(child, level - 1, start, slots)


class Cursor:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, length):
        check(self.at + length <= len(self.data), "a page is cut short")
        self.at += length
        return self.data[self.at - length : self.at]

    def end(self):
        check(self.at == len(self.data), "a page is longer than its content")


def decode_leaf(data):
    cursor = Cursor(data)
    header = cursor.take(68)
    check(header[0] == 0, "a leaf is of another level")
    slots = []
    for slot in range(FAN_OUT):
        kind = header[4 + slot // 4] >> (2 * (slot % 4)) & 3
        check(kind < 3, "a slot has an unknown type")
        if kind == 0:
            slots.append(None)
        elif kind == 1:
            chunk = cursor.take(32)
            slots.append([(chunk, cell) for cell in range(CELLS)])
        else:
            slots.append(decode_patched(cursor))
    cursor.end()
    return slots


def decode_patched(cursor):
    base, extents = cursor.take(2)
    check(base <= 1 and extents <= CELLS, "a patched slot is impossible")
    chunk = cursor.take(32) if base else None
    cells = [(chunk, cell) if base else None for cell in range(CELLS)]
    reached = 0
    for _ in range(extents):
        cell, count, source, source_cell = cursor.take(4)
        inside = count > 0 and cell >= reached and cell + count <= CELLS and source_cell + count <= CELLS
        check(inside and source <= 1, "an extent is impossible")
        reached = cell + count
        chunk = cursor.take(32) if source else None
        for step in range(count):
            cells[cell + step] = (chunk, source_cell + step) if source else None
    return cells


def decode_node(data, level):
    cursor = Cursor(data)
    header = cursor.take(36)
    check(header[0] == level, "a page is of another level")
    children = [cursor.take(32) if header[4 + n // 8] >> (n % 8) & 1 else None for n in range(FAN_OUT)]
    cursor.end()
    return children


# --- where objects are: three ways to find out --------------------------------------------------------------------------


def pack_path(folder, pack_id):
    return folder / "packs" / pack_id.hex()[:2] / pack_id.hex()


class Index:
    def __init__(self, repository):
        segments = [Segment(path, repository.id) for path in sorted((repository.folder / "index").iterdir())]
        replaced = {each for segment in segments for each in segment.superseded}
        self.segments = [segment for segment in segments if segment.id not in replaced]

    def find(self, object_id):
        for segment in self.segments:
            place = segment.find(object_id)
            if place:
                return place
        raise Damage(f"object {object_id.hex()} is in no segment")


class Segment:
    def __init__(self, path, repository_id):
        data = path.read_bytes()
        check_ends_with_crc(data[: SEGMENT_HEADER.size], f"segment {path.name}")
        (magic, version, self.bits, entries, packs, blocks, superseded, repository, self.id, size, _) = (
            SEGMENT_HEADER.unpack_from(data)
        )
        ours = magic == b"HVLIDX\x1a\n" and version == 1 and repository == repository_id
        check(ours and self.id.hex() == path.name and size == len(data), f"segment {path.name} is not one of ours")
        check_ends_with_crc(data, f"segment {path.name}")
        at = SEGMENT_HEADER.size
        self.packs, at = list(PACK_TABLE_ENTRY.iter_unpack(data[at : at + 24 * packs])), at + 24 * packs
        self.superseded, at = [data[at + 16 * n : at + 16 * n + 16] for n in range(superseded)], at + 16 * superseded
        starts = 2**self.bits + 1
        self.fan_out, at = struct.unpack_from(f"<{starts}I", data, at), at + 4 * starts
        self.bloom, at = [data[at + 64 * n : at + 64 * n + 64] for n in range(blocks)], at + 64 * blocks
        self.entries, at = list(SEGMENT_ENTRY.iter_unpack(data[at : at + 48 * entries])), at + 48 * entries
        check(at + 4 == len(data) and self.fan_out[-1] == entries, f"segment {path.name} is impossible")

    def find(self, object_id):
        block = self.bloom[struct.unpack_from("<I", object_id, 4)[0] % len(self.bloom)]
        for word in struct.unpack_from("<7H", object_id, 8):
            bit = word & 511
            if not block[bit // 8] >> (bit % 8) & 1:
                return None
        bucket = int.from_bytes(object_id[:4], "big") >> (32 - self.bits)
        first, end = self.fan_out[bucket], self.fan_out[bucket + 1]
        found = bisect.bisect_left(self.entries, (object_id,), first, end)
        if found == end or self.entries[found][0] != object_id:
            return None
        _, pack, offset, stored_length, _ = self.entries[found]
        return self.packs[pack][0], offset, stored_length


class Trailers:
    def __init__(self, repository):
        self.places = {}
        for path in repository.folder.glob("packs/*/*"):
            self.places.update(self._read(path, repository.id))

    def find(self, object_id):
        check(object_id in self.places, f"object {object_id.hex()} is in no pack")
        return self.places[object_id]

    def _read(self, path, repository_id):
        data = path.read_bytes()
        header, footer = data[: PACK_HEADER.size], data[-PACK_FOOTER.size :]
        check_ends_with_crc(header, f"the header of pack {path.name}")
        check_ends_with_crc(footer, f"the footer of pack {path.name}")
        magic, version, kind, repository, pack, _ = PACK_HEADER.unpack(header)
        offset, count, crc, end_kind, end_pack, end_magic, _ = PACK_FOOTER.unpack(footer)
        ours = magic == b"HVLPAK\x1a\n" and version == 1 and repository == repository_id and pack.hex() == path.name
        check(ours and end_magic == b"HVLEND\x1a\n", f"pack {path.name} is not one of ours")
        check((kind, pack) == (end_kind, end_pack), f"header and footer of pack {path.name} disagree")
        trailer = data[offset : -PACK_FOOTER.size]
        check(len(trailer) == 48 * count and crc32c(trailer) == crc, f"the trailer of pack {path.name} is damaged")
        return {each[0]: (pack, each[1], each[2]) for each in TRAILER_ENTRY.iter_unpack(trailer)}


class Walk(Trailers):
    """As when every trailer is lost."""

    def _read(self, path, repository_id):
        data = path.read_bytes()
        places = {}
        at = data.find(b"HVLOBJ\x1a\n")
        while at >= 0:
            step = 1
            try:
                header = ObjectHeader(data[at : at + OBJECT_HEADER.size])
                places[header.id] = (bytes.fromhex(path.name), at, header.stored_length)
                step = OBJECT_HEADER.size + header.stored_length
            except Damage:
                pass  # chance, or a damaged object: the next one may be whole
            at = data.find(b"HVLOBJ\x1a\n", at + step)
        return places


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("points")
    restore = commands.add_parser("restore")
    for name in ("point", "disk", "file"):
        restore.add_argument(name)
    restore.add_argument("--places", choices=["index", "trailers", "walk"], default="index")
    arguments = parser.parse_args()
    repository = Repository(arguments.folder, getattr(arguments, "places", "index"))
    if arguments.command == "points":
        print(json.dumps(list(repository.points())))
    else:
        repository.restore(arguments.point, arguments.disk, arguments.file)


try:
    main()
except Damage as damage:
    print(f"damaged: {damage}", file=sys.stderr)
    sys.exit(1)
except Refused as refusal:
    print(f"refused: {refusal}", file=sys.stderr)
    sys.exit(2)
