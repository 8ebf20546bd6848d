#!/usr/bin/env python3
"""Reads .hadbj segments and prints what they hold: an independent reader, written from docs/format.md alone.

    read_hadbj.py FILE...       one line per entry, then one per segment; exit code 1 if a file is damaged

Standard library only. Compressed segments need Python 3.14 (compression.zstd) or the package zstandard; without either the line
says "skipped". Encrypted segments are not read.
"""

import hashlib
import struct
import sys


class Damaged(Exception): pass
class Skipped(Exception): pass


def need(condition, what):
    if not condition:
        raise Damaged(what)


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = list(crc_table())

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def unzstd(data):
    try:
        from compression import zstd
        return zstd.decompress(data)
    except ImportError:
        try:
            import zstandard
        except ImportError:
            raise Skipped("no zstd here") from None
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def varint(data, at):
    value = shift = 0
    while True:
        need(at < len(data) and shift <= 63, "a varint is cut or too long")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            need(byte != 0 or shift == 0, "a varint is not in its shortest form")
            return value, at
        shift += 7


FIELDS = ("magic version flags compression ext_len first_seq last_seq entry_count body_len body_checksum "
          "prev_segment_checksum created_ms lineage first_commit_ms last_commit_ms header_crc32c").split()


def read_header(data):
    need(len(data) >= 128, "shorter than a header")
    header = dict(zip(FIELDS, struct.unpack(">5sBBBIQQQQ32s8sq16sqqI", data[:128])))
    need(header["magic"] == b"HADBJ", "not a segment")
    header["legacy"] = header["version"] == 1 and data[92:128] == bytes(36)
    need(header["legacy"] or crc32c(data[:124]) == header["header_crc32c"], "the header's checksum is wrong")
    allowed = {1: (0, 0x0C, 0x0D), 2: (0x04, 0x05, 0x14, 0x15), 3: (0,)}.get(header["version"], ())
    need(header["flags"] in allowed and header["compression"] == header["flags"] & 0x01, "unknown version, flags or compression")
    sealed_count = header["last_seq"] - header["first_seq"] + 1 if header["flags"] else 0
    need(header["entry_count"] == sealed_count and header["first_seq"] > 0, "the header's sequences and count disagree")
    return header


def read_v1(data, header):
    """Entries of a sealed version 1 segment: (sequence, commit time, its exactness, chain hash, payload)."""
    end = 128 + header["body_len"]
    need(len(data) == end + 32, "the file has another length than its header says")
    body = data[128:end]
    need(hashlib.sha256(body).digest() == header["body_checksum"], "the body's checksum is wrong")
    if header["flags"] & 0x01:
        body = unzstd(body)
    at, chain = 0, None
    commit_ms = header["created_ms"] if header["legacy"] else header["last_commit_ms"]
    for sequence in range(header["first_seq"], header["last_seq"] + 1):
        need(at + 48 <= len(body), "the body ends early")
        crc, length, found = struct.unpack(">IIQ", body[at:at + 16])
        before, payload = body[at + 16:at + 48], body[at + 48:at + 48 + length]
        need(crc == crc32c(body[at + 4:at + 48 + length]), "an entry's CRC is wrong")
        need(found == sequence and len(payload) == length, "an entry has another sequence or length")
        need(before == chain if chain else before[:8] == header["prev_segment_checksum"], "the chain is broken")
        chain = hashlib.sha256(before + payload).digest()
        at += 48 + length
        yield sequence, commit_ms, False, chain, payload
    need(at == len(body), "bytes follow the last entry")
    need(data[end:] == chain, "the trailer is not the last chain hash")


def read_v2(data, header):
    """The same of version 2."""
    start, body_end = 128 + header["ext_len"], len(data) - 64
    if header["flags"] & 0x10:
        raise Skipped("encrypted")
    need(len(data) == start + header["body_len"] + 64, "the file has another length than its header says")
    need(hashlib.sha256(data[start:body_end]).digest() == header["body_checksum"], "the body's checksum is wrong")
    footer = struct.unpack(">QIIQQBB26sI", data[body_end:])
    index_offset, index_len, frame_count, first_seq, last_seq, version, flags, zeros, crc = footer
    need(crc == crc32c(data[body_end:-4]) and zeros == bytes(26), "the footer is damaged")
    need((first_seq, last_seq, version, flags) == (header["first_seq"], header["last_seq"], 2, header["flags"]),
         "the footer contradicts the header")
    need(index_len == 56 * frame_count and index_offset + index_len + 32 == body_end, "the index does not fill its place")
    index = data[index_offset:body_end]
    at, sequence, commit_ms, chain = start, first_seq, header["first_commit_ms"], None
    for row in range(frame_count):
        need(at + 64 <= index_offset, "a frame does not fit")
        crc, stored_len, raw_len, count, first, first_ms = struct.unpack(">IIIIQq", data[at:at + 32])
        before = data[at + 32:at + 64]
        stored = data[at + 64:at + 64 + stored_len]
        need(crc == crc32c(data[at + 4:at + 64 + stored_len]), "a frame's CRC is wrong")
        need(index[56 * row:56 * row + 56] == struct.pack(">Qqq", at, first, first_ms) + before, "the index contradicts a frame")
        need(first == sequence and first_ms >= commit_ms, "a frame has another sequence or an earlier time")
        need(before == chain if chain else before[:8] == header["prev_segment_checksum"], "the chain is broken")
        raw = unzstd(stored) if header["flags"] & 0x01 else stored
        need(len(raw) == raw_len, "a frame has another length than it says")
        chain, commit_ms, place = before, first_ms, 0
        for entry in range(count):
            length, place = varint(raw, place)
            delta, place = varint(raw, place)
            need(place + length <= raw_len and (entry > 0 or delta == 0), "an entry does not fit its frame")
            payload, commit_ms = raw[place:place + length], commit_ms + delta
            chain = hashlib.sha256(chain + payload).digest()
            place += length
            yield sequence, commit_ms, True, chain, payload
            sequence += 1
        need(place == raw_len, "bytes follow the last entry of a frame")
        at += 64 + stored_len
    need(at == index_offset and sequence == last_seq + 1, "the frames do not fill the body")
    need(commit_ms == header["last_commit_ms"], "the last commit time is not the header's")
    need(index[index_len:] == chain, "the last chain hash is wrong")


def read_open(data, header):
    """Whole records of an open segment, up to the first place where none stands; nothing is said about what follows."""
    need(hashlib.sha256(data[128:176]).digest() == header["body_checksum"], "the extension is damaged")
    nonce, chain, at, sequence = data[128:144], data[144:176], 176, header["first_seq"]
    while at + 56 <= len(data) and data[at:at + 16] == nonce:
        header_crc, body_crc, length, count, first, commit_ms, _durable = struct.unpack(">IIIIQqQ", data[at + 16:at + 56])
        end = at + 56 + (length + 7) // 8 * 8
        covered = data[at:at + 16] + data[at + 20:at + 56] + struct.pack(">Q", at)
        if header_crc != crc32c(covered) or end > len(data) or body_crc != crc32c(data[at + 56:end]):
            break
        need(first == sequence, "a record has another sequence")
        place, body_end = at + 56, at + 56 + length
        for _ in range(count):
            size, place = varint(data, place)
            delta, place = varint(data, place)
            payload, commit_ms = data[place:place + size], commit_ms + delta
            chain = hashlib.sha256(chain + payload).digest()
            place += size
            yield sequence, commit_ms, True, chain, payload
            sequence += 1
        need(place == body_end, "the entries do not fill their record")
        at = end


def entries(data):
    header = read_header(data)
    reader = {1: read_v1, 2: read_v2, 3: read_open}[header["version"]]
    need(header["version"] != 1 or header["flags"], "the predecessor's open segments are not read here")
    yield from reader(data, header)


def main(paths):
    failed = False
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        try:
            for sequence, commit_ms, exact, chain, payload in entries(data):
                bound = "" if exact else " at most"
                print(f"entry {sequence} {commit_ms}{bound} {chain.hex()} {payload.decode('utf-8', 'replace')}")
            print(f"whole {path}")
        except Skipped as why:
            print(f"skipped {path}: {why}")
        except Damaged as what:
            print(f"damaged {path}: {what}")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
