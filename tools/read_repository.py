#!/usr/bin/env python3
"""Reads an hvlift repository without hvlift: lists its restore points, restores their disks, verifies everything.

    read_repository.py FOLDER points [--json]
    read_repository.py FOLDER restore POINT DISK FILE [--places auto|index|trailers|walk]
    read_repository.py FOLDER verify

FOLDER is the folder of the repository; of one in a bucket, a copy of it. POINT is the id of a restore point, the beginning of
one, or the name or id of a VM: then its latest. DISK is a number from 1, an id, or the name of the disk's file. FILE is the raw
image to write; what is zeros becomes a hole.

An encrypted repository needs its passphrase or its recovery key: from HVLIFT_PASSPHRASE or HVLIFT_RECOVERY_KEY, from the file
of --passphrase-file or --recovery-key-file, or typed.

The index is made use of where it is whole. Without it objects are found by the trailers of the packs, and where those are
damaged by walking through the packs. Whatever is read is verified: no wrong byte is ever written, and damage is named.
Exit codes: 0 done, 1 damage, 2 the secret does not fit or something else is refused.

Written from the specification of the format, which lies beside this file in every repository (about/repository.md), and from
nothing else. Needs Python 3.9 or later and the packages `cryptography` and `zstandard`
(Debian: python3-cryptography, python3-zstandard); to open a repository by its passphrase, `cryptography` 44 or later, or
`argon2-cffi` (Debian: python3-argon2). The recovery key needs neither.
"""

import argparse
import getpass
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import unicodedata
from pathlib import Path, PureWindowsPath

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


class Secret:
    """What was given to open the repository: `kind` is the kind of key slot it is for."""

    def __init__(self, arguments):
        self.kind, self.text = self._given(arguments)

    def _given(self, arguments):
        if arguments.passphrase_file:
            return "passphrase", first_line(arguments.passphrase_file)
        if arguments.recovery_key_file:
            return "recovery", first_line(arguments.recovery_key_file)
        if "HVLIFT_PASSPHRASE" in os.environ:
            return "passphrase", os.environ["HVLIFT_PASSPHRASE"]
        if "HVLIFT_RECOVERY_KEY" in os.environ:
            return "recovery", os.environ["HVLIFT_RECOVERY_KEY"]
        return "clear", ""

    def ask(self):
        """Typed, where there is somebody to ask. A recovery key is known by its form."""
        if not sys.stdin.isatty():
            raise Refused("the repository is encrypted: its passphrase or its recovery key is needed")
        self.text = getpass.getpass("Passphrase or recovery key: ")
        is_recovery_key = re.fullmatch(r"[0-9A-Za-z]{4}(-[0-9A-Za-z]{4}){13}", self.text.strip())
        self.kind = "recovery" if is_recovery_key else "passphrase"

    def wrapping_key(self, slot):
        salt = bytes.fromhex(slot["salt"])
        if slot["kind"] == "recovery":
            return hkdf(parse_recovery_key(self.text), salt, b"hvlift v1 recovery")
        passphrase = unicodedata.normalize("NFC", self.text).encode()
        if "argon2id" in slot:
            return argon2id(passphrase, salt, slot["argon2id"])
        cost = slot.get("scrypt", {"N": 0, "r": 0, "p": 0})
        if not (0 < cost["N"] <= 1 << 20 and 0 < cost["r"] <= 16 and 0 < cost["p"] <= 4):
            raise Damage("a key file asks for an impossible derivation")
        memory = 256 * cost["N"] * cost["r"]
        return hashlib.scrypt(passphrase, salt=salt, n=cost["N"], r=cost["r"], p=cost["p"], maxmem=memory, dklen=32)


def argon2id(passphrase, salt, cost):
    """RFC 9106, for 32 bytes."""
    memory, passes, lanes = cost["m"], cost["t"], cost["p"]
    if not (0 < passes <= 16 and 0 < lanes <= 16 and 8 * lanes <= memory <= 1 << 20):
        raise Damage("a key file asks for an impossible derivation")
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        return Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(passphrase)
    except ImportError:
        pass
    try:
        from argon2.low_level import Type, hash_secret_raw
    except ImportError:
        raise Refused(
            "the passphrase needs Argon2id: install argon2-cffi (Debian: python3-argon2), or use the recovery key"
        ) from None
    return hash_secret_raw(passphrase, salt, passes, memory, lanes, 32, Type.ID)


def first_line(path):
    return Path(path).read_text(encoding="utf-8-sig").splitlines()[0]


def master_key(folder, header, header_bytes, secret):
    if header["encryption"] != "none" and secret.kind == "clear":
        secret.ask()
    if header["encryption"] == "none" and secret.kind != "clear":
        raise Refused("a secret was given, but the repository is not encrypted")
    damage = None
    for path in files_below(folder / "keys"):
        try:
            slot, _ = read_checked(path)
            if slot["kind"] != secret.kind or slot["repositoryId"] != header["repositoryId"]:
                continue
            key = bytes.fromhex(slot["key"])
            if secret.kind == "clear":
                return key
            bound_to = hashlib.sha256(header_bytes).digest()
            return AESGCM(secret.wrapping_key(slot)).decrypt(bytes.fromhex(slot["nonce"]), key, bound_to)
        except InvalidTag:
            continue
        except Damage as found:
            damage = damage or found
    raise damage or Refused("the secret does not open the repository")


def files_below(folder):
    return sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []


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
    def __init__(self, folder, secret, places):
        self.folder = folder
        if not (folder / "hvlift.json").is_file():
            raise Refused(f"there is no repository in {folder}")
        header, header_bytes = read_checked(folder / "hvlift.json")
        check(header.get("format") == "hvlift-repository", "this is not a repository")
        if header["formatVersion"] != 1:
            raise Refused(f"format {header['formatVersion']} is not known")
        self.id = bytes.fromhex(header["repositoryId"])
        self.encrypted = header["encryption"] == "aes-256-gcm"
        master = master_key(folder, header, header_bytes, secret)
        self.id_key, self.seal_key, self.manifest_key, self.name_key = (
            hkdf(master, self.id, f"hvlift v1 {purpose}".encode()) for purpose in ("id", "seal", "manifest", "name")
        )
        self.places = {"auto": Anywhere, "index": Index, "trailers": Trailers, "walk": Walk}[places](self)

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
        """From the first place where the object is whole: one that was found damaged may have been stored again."""
        damage = Damage(f"the {kind} object {object_id.hex()} is in no pack")
        for place in self.places.of(object_id):
            try:
                return self.read_at(kind, object_id, *place)
            except Damage as found:
                damage = found
        raise damage

    def read_at(self, kind, object_id, pack, offset, stored_length):
        path = pack_path(self.folder, pack)
        check(path.is_file(), f"pack {path.name} is missing")
        with open(path, "rb") as file:
            file.seek(offset)
            return self.open_object(file.read(OBJECT_HEADER.size + stored_length), kind, object_id)

    # --- restore points

    def points(self, damaged=None):
        """In order of VM and time. Damage goes to `damaged`, or is thrown after all that are whole."""
        found = []
        for path in sorted(self.folder.glob("points/*/*")):
            name = re.fullmatch(r"(\d{8}t\d{6}\.\d{3}z)-([0-9a-f]{16})", path.name)
            try:
                if name:
                    yield self._point(path, *name.groups())
            except Damage as damage:
                found.append(damage)
        if damaged is not None:
            damaged.extend(found)
        elif found:
            raise found[0]

    def point(self, wanted):
        """By id, the beginning of one, or the latest of a VM; a damaged point does not stand in the way of others."""
        points = list(self.points(damaged := []))
        wanted = wanted.lower()
        matches = [each for each in points if each["id"].startswith(wanted)]
        of_vm = [each for each in points if wanted in (each["vm"]["name"].lower(), each["vm"]["id"].lower())]
        vms = {each["vm"]["id"] for each in of_vm}
        if len(vms) > 1:
            raise Refused(f"several VMs have that name: {', '.join(sorted(vms))}")
        if of_vm:
            return max(of_vm, key=lambda each: each["created"])
        if len(matches) != 1:
            refusal = Refused(f"{len(matches)} restore points begin with {wanted}")
            raise damaged[0] if damaged and not matches else refusal
        return matches[0]

    def _point(self, path, time, point_id):
        value = parse_object(self.open_object(path.read_bytes(), "manifest"), path.name)
        check(value["formatVersion"] == 1, f"{path.name} has another format")
        digest = hmac.new(self.manifest_key, canonical(without(value, "digest")), "sha256").hexdigest()
        check(value["digest"] == digest, f"the digest of {path.name} is wrong")
        vm = hmac.new(self.name_key, value["vm"]["id"].lower().encode(), "sha256").hexdigest()[:16]
        stamp = value["created"].replace("-", "").replace(":", "").lower()
        check((value["id"], stamp, vm) == (point_id, time, path.parent.name), f"{path.name} is another point")
        return value

    def restore(self, disk, target):
        """The image has its name only once it is complete."""
        partial = f"{target}.partial"
        with open(partial, "wb") as file:
            file.truncate(disk["size"])
            for slot, cells in self.slots(disk["root"], disk["size"]):
                self._write_slot(file, slot, cells, disk["size"])
        os.replace(partial, target)

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

    def slots(self, root, size):
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
    def __init__(self, repository, damaged=None):
        """Damaged segments go to `damaged`: what they say stands in the packs too."""
        segments = []
        for path in files_below(repository.folder / "index"):
            try:
                segments.append(Segment(path, repository.id))
            except Damage as damage:
                if damaged is None:
                    raise
                damaged.append(damage)
        replaced = {each for segment in segments for each in segment.superseded}
        self.segments = [segment for segment in segments if segment.id not in replaced]

    def of(self, object_id):
        for segment in self.segments:
            yield from segment.find(object_id)


class Segment:
    # The checksum of 64 MiB takes some ten seconds here. Beyond that it is left out: every object proves itself.
    CHECKED_MAX = 64 * MIB

    def __init__(self, path, repository_id):
        self.data = data = path.read_bytes()
        check(len(data) > SEGMENT_HEADER.size, f"segment {path.name} is cut short")
        check_ends_with_crc(data[: SEGMENT_HEADER.size], f"segment {path.name}")
        (magic, version, self.bits, self.count, packs, blocks, superseded, repository, self.id, size, _) = (
            SEGMENT_HEADER.unpack_from(data)
        )
        ours = magic == b"HVLIDX\x1a\n" and version == 1 and repository == repository_id
        check(ours and self.id.hex() == path.name and size == len(data), f"segment {path.name} is not one of ours")
        if len(data) <= self.CHECKED_MAX:
            check_ends_with_crc(data, f"segment {path.name}")
        at = SEGMENT_HEADER.size
        self.packs, at = list(PACK_TABLE_ENTRY.iter_unpack(data[at : at + 24 * packs])), at + 24 * packs
        self.superseded, at = [data[at + 16 * n : at + 16 * n + 16] for n in range(superseded)], at + 16 * superseded
        self.fan_out, at = at, at + 4 * (2**self.bits + 1)
        self.bloom, self.blocks, at = at, blocks, at + 64 * blocks
        self.entries, at = at, at + 48 * self.count
        check(self.bits <= 24 and blocks > 0 and at + 4 == len(data), f"segment {path.name} is impossible")

    def find(self, object_id):
        """Every place of the object."""
        block = self.bloom + 64 * (struct.unpack_from("<I", object_id, 4)[0] % self.blocks)
        for word in struct.unpack_from("<7H", object_id, 8):
            bit = word & 511
            if not self.data[block + bit // 8] >> (bit % 8) & 1:
                return
        bucket = int.from_bytes(object_id[:4], "big") >> (32 - self.bits)
        first, end = struct.unpack_from("<2I", self.data, self.fan_out + 4 * bucket)
        check(first <= end <= self.count, "the fan-out of a segment is impossible")
        low, high = first, end
        while low < high:
            middle = (low + high) // 2
            if self._id(middle) < object_id:
                low = middle + 1
            else:
                high = middle
        while low < end and self._id(low) == object_id:
            _, pack, offset, stored_length, _ = SEGMENT_ENTRY.unpack_from(self.data, self.entries + 48 * low)
            check(pack < len(self.packs), "an entry of a segment is impossible")
            yield self.packs[pack][0], offset, stored_length
            low += 1

    def _id(self, number):
        at = self.entries + 48 * number
        return self.data[at : at + 32]


class Packs:
    """All packs, listed at the first question."""

    def __init__(self, repository):
        self.repository = repository
        self.places = None

    def of(self, object_id):
        if self.places is None:
            self.places = {}
            for path in sorted(self.repository.folder.glob("packs/*/*")):
                for listed, place, _ in self.list(path):
                    self.places.setdefault(listed, []).append(place)
        return self.places.get(object_id, [])


class Trailers(Packs):
    def list(self, path):
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            check(size >= PACK_HEADER.size + PACK_FOOTER.size, f"pack {path.name} is cut short")
            file.seek(0)
            header = file.read(PACK_HEADER.size)
            file.seek(size - PACK_FOOTER.size)
            footer = file.read()
            check_ends_with_crc(header, f"the header of pack {path.name}")
            check_ends_with_crc(footer, f"the footer of pack {path.name}")
            magic, version, kind, repository, pack, _ = PACK_HEADER.unpack(header)
            offset, count, crc, end_kind, end_pack, end_magic, _ = PACK_FOOTER.unpack(footer)
            ours = magic == b"HVLPAK\x1a\n" and version == 1 and repository == self.repository.id
            check(ours and pack.hex() == path.name and end_magic == b"HVLEND\x1a\n", f"pack {path.name} is not one of ours")
            check((kind, pack) == (end_kind, end_pack), f"header and footer of pack {path.name} disagree")
            check(offset + 48 * count + PACK_FOOTER.size == size, f"the footer of pack {path.name} is impossible")
            file.seek(offset)
            trailer = file.read(48 * count)
        check(crc32c(trailer) == crc, f"the trailer of pack {path.name} is damaged")
        return [(each[0], (pack, each[1], each[2]), each[4]) for each in TRAILER_ENTRY.iter_unpack(trailer)]


class Walk(Packs):
    """As when every trailer is lost."""

    def list(self, path):
        data = path.read_bytes()  # at most 64 MiB
        found = []
        at = data.find(b"HVLOBJ\x1a\n")
        while at >= 0:
            step = 1
            try:
                header = ObjectHeader(data[at : at + OBJECT_HEADER.size])
                found.append((header.id, (bytes.fromhex(path.name), at, header.stored_length), header.kind))
                step = OBJECT_HEADER.size + header.stored_length
            except Damage:
                pass  # chance, or a damaged object: the next one may be whole
            at = data.find(b"HVLOBJ\x1a\n", at + step)
        return found


class TrailersElseWalk(Trailers):
    def list(self, path):
        try:
            return super().list(path)
        except Damage:
            return Walk.list(self, path)


class Anywhere:
    """The index, and the packs themselves for what is not found there, or is found damaged."""

    def __init__(self, repository):
        self.index = Index(repository, [])
        self.packs = TrailersElseWalk(repository)

    def of(self, object_id):
        known = list(self.index.of(object_id))
        yield from known
        yield from (place for place in self.packs.of(object_id) if place not in known)


# --- verifying ----------------------------------------------------------------------------------------------------------


class Verification:
    """Every file, every object of every pack, and that each restore point finds all it needs."""

    def __init__(self, repository):
        self.repository = repository
        self.problems = []
        self.whole = set()

    def run(self):
        folder = self.repository.folder
        for path in files_below(folder / "keys"):
            self._attempt(path.name, lambda path=path: read_checked(path))
        Index(self.repository, damaged := [])
        self.problems += [f"{damage}; the packs hold what is needed" for damage in damaged]
        for path in sorted(folder.glob("packs/*/*")):
            self._pack(path)
        points = list(self.repository.points(damaged := []))
        self.problems += [str(damage) for damage in damaged]
        for point in points:
            self._point(point)
        return len(points)

    def _attempt(self, what, work):
        try:
            return work()
        except Damage as damage:
            self.problems.append(f"{what}: {damage}")
            return None

    def _pack(self, path):
        listed = self._attempt(f"pack {path.name}", lambda: Trailers(self.repository).list(path))
        if listed is None:
            listed = Walk(self.repository).list(path)
        names = {number: name for name, number in KINDS.items()}
        for object_id, place, kind in listed:
            name = names.get(kind, "unknown")
            what = f"pack {path.name}"
            raw = self._attempt(what, lambda: self.repository.read_at(name, object_id, *place) if kind in names else None)
            if raw is not None:
                self.whole.add(object_id)

    def _point(self, point):
        vm = point["vm"]
        name = f"point {point['id']} of {vm['name']}"
        for blob in [vm["configuration"], *(file["blob"] for file in vm.get("files", []))]:
            if bytes.fromhex(blob) not in self.whole:
                self.problems.append(f"{name}: settings of the VM cannot be read")
        for number, disk in enumerate(point["disks"], 1):
            self._attempt(f"{name}, disk {number}", lambda disk=disk, number=number: self._disk(name, number, disk))

    def _disk(self, name, number, disk):
        lost = 0
        for _, cells in self.repository.slots(disk["root"], disk["size"]):
            lost += sum(CELL for cell in cells if cell and cell[0] not in self.whole)
        if lost:
            self.problems.append(f"{name}, disk {number}: up to {lost} bytes cannot be restored")


# --- the command line ---------------------------------------------------------------------------------------------------


def disk_of(point, wanted):
    for number, disk in enumerate(point["disks"], 1):
        if wanted.lower() in (str(number), disk["diskId"].lower(), PureWindowsPath(disk["path"]).name.lower()):
            return disk
    raise Refused(f"point {point['id']} has no disk {wanted}")


def show_points(repository, as_json):
    damaged = []
    points = list(repository.points(damaged))
    if as_json:
        print(json.dumps(points))
    for point in [] if as_json else points:
        print(f"{point['id']}  {point['created']}  {point['vm']['name']}  ({point['vm']['id']})")
        for number, disk in enumerate(point["disks"], 1):
            print(f"    disk {number}: {disk['size']} bytes, {disk['path']}, id {disk['diskId']}")
    if damaged:
        raise damaged[0]


def show_verification(repository):
    verification = Verification(repository)
    points = verification.run()
    for problem in verification.problems:
        print(f"damaged: {problem}", file=sys.stderr)
    print(f"{points} restore points, {len(verification.whole)} objects, {len(verification.problems)} problems")
    return 1 if verification.problems else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Reads an hvlift repository without hvlift.")
    parser.add_argument("folder", type=Path, help="the folder of the repository")
    secrets = parser.add_mutually_exclusive_group()
    secrets.add_argument("--passphrase-file", metavar="FILE")
    secrets.add_argument("--recovery-key-file", metavar="FILE")
    commands = parser.add_subparsers(dest="command", required=True)
    points = commands.add_parser("points", help="list the restore points and their disks")
    points.add_argument("--json", action="store_true", help="the manifests, as one JSON array")
    restore = commands.add_parser("restore", help="write one disk of a restore point into a raw image")
    restore.add_argument("point", help="id, the beginning of one, or the name of a VM: its latest")
    restore.add_argument("disk", help="number from 1, id, or the name of its file")
    restore.add_argument("file", help="the image to write")
    restore.add_argument("--places", choices=["auto", "index", "trailers", "walk"], default="auto")
    commands.add_parser("verify", help="read everything back")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    repository = Repository(arguments.folder, Secret(arguments), getattr(arguments, "places", "auto"))
    if arguments.command == "points":
        show_points(repository, arguments.json)
    elif arguments.command == "verify":
        return show_verification(repository)
    else:
        point = repository.point(arguments.point)
        repository.restore(disk_of(point, arguments.disk), arguments.file)
    return 0


try:
    sys.exit(main())
except Damage as damage:
    print(f"damaged: {damage}", file=sys.stderr)
    sys.exit(1)
except (Refused, OSError) as refusal:
    print(f"refused: {refusal}", file=sys.stderr)
    sys.exit(2)
