#!/usr/bin/env python3
"""Reads .hadbj segments and prints what they hold: an independent reader, written from docs/format.md alone.

    read_hadbj.py FILE...       one line per entry, then one per segment; exit code 1 if a file is damaged

Compressed segments need Python 3.14 or the package zstandard; without either the line says "skipped", as of encrypted ones.
"""

import hashlib
import importlib.util
import io
import struct
import sys

for name in ("zstandard", "compression.zstd"):
    zstd = importlib.import_module(name) if importlib.util.find_spec(name.split(".")[0]) else None
    if zstd: break

class Damaged(Exception): pass
class Skipped(Exception): pass
def need(condition, what, otherwise=Damaged):
    if not condition:
        raise otherwise(what)

CRC_TABLE = list(range(256))
for _ in range(8):
    CRC_TABLE = [(value >> 1) ^ (0x82F63B78 if value & 1 else 0) for value in CRC_TABLE]
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF

def unzstd(data):
    need(zstd, "no zstd here", Skipped)
    return getattr(whole := zstd.ZstdDecompressor(), "decompressobj", lambda: whole)().decompress(data)

def take(stream, length):
    data = stream.read(length)
    need(len(data) == length, "the bytes end early")
    return data

def varint(stream):
    value, shift, byte = 0, 0, 0x80
    while byte >= 0x80:
        byte = take(stream, 1)[0]
        value, shift = value | (byte & 0x7F) << shift, shift + 7
    need((byte != 0 or shift == 7) and value < 2**64, "a varint is too long")
    return value

def to_varint(value):
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + to_varint(value >> 7)

def rows(data, count):
    """Commit time delta and payload of each entry of a frame or record."""
    stream = io.BytesIO(data)
    for _ in range(count):
        length, delta = varint(stream), varint(stream)
        yield delta, take(stream, length)
    need(not stream.read(1), "bytes follow the last entry")

def columns(data, count):
    """The same of a frame with columns."""
    source, shapes, slots = io.BytesIO(data[1:]), [], ""
    block = lambda: io.BytesIO(take(source, varint(source)))
    for _ in range(data[0]):
        shape = []
        while not shape or shape[-1][0] != 0:
            operation = take(source, 1)[0]
            shape.append((operation, len(slots), block().read() if operation == 1 else b""))
            slots += {3: "n", 4: "b", 5: "bb", 8: "bb"}.get(operation, "")
        shapes.append(shape)
    ids, deltas, times, *streams = [block() for _ in "idt" + slots]
    codings, before, time = [take(stream, 1)[0] if slot == "n" else 0 for stream, slot in zip(streams, slots)], [0] * len(slots), 0
    difference = lambda stream: ((value := varint(stream)) >> 1) ^ -(value & 1)
    for _ in range(count):
        shape, built = shapes[take(ids, 1)[0]], [b""]
        time = (time + difference(times)) % 2**64 if 2 in (operation for operation, _, _ in shape) else time
        for operation, slot, text in shape:
            if operation == 3:
                before[slot] = (difference(streams[slot]) + (0, before[slot], time)[codings[slot]]) % 2**64
            elif operation == 6:
                built.append(b"")
            elif operation in (5, 7, 8):
                text = built.pop() if operation == 7 else take(streams[slot + 1], varint(streams[slot]))
                text = (to_varint(len(text)) if operation != 8 else b"") + text
            built[-1] += {2: lambda: to_varint(time), 3: lambda: to_varint(before[slot]),
                          4: lambda: take(streams[slot], 8)}.get(operation, lambda: text)()
        need(len(built) == 1 and operation == 0, "a shape is none")
        yield varint(deltas), built[0]
    need(not any(stream.read(1) for stream in [source, ids, deltas, times, *streams]), "columns are left over")

FIELDS = ("magic version flags compression ext_len first_seq last_seq entry_count body_len body_checksum "
          "prev_segment_checksum created_ms lineage first_commit_ms last_commit_ms header_crc32c").split()

def read_header(data):
    header = dict(zip(FIELDS, struct.unpack(">5sBBBIQQQQ32s8sq16sqqI", data[:128])))
    need(header["magic"] == b"HADBJ", "not a segment")
    header["legacy"] = header["version"] == 1 and data[92:128] == bytes(36)
    need(header["legacy"] or crc32c(data[:124]) == header["header_crc32c"], "the header's checksum is wrong")
    allowed = {1: (0, 0x0C, 0x0D), 2: (0x04, 0x05, 0x14, 0x15, 0x25, 0x35), 3: (0,)}.get(header["version"], ())
    compression = 2 if header["flags"] & 0x20 else header["flags"] & 0x01
    need(header["flags"] in allowed and header["compression"] == compression, "unknown version, flags or compression")
    sealed_count = header["last_seq"] - header["first_seq"] + 1 if header["flags"] else 0
    need(header["entry_count"] == sealed_count and header["first_seq"] > 0, "the header's sequences and count disagree")
    return header

def body_of(data, header, tail):
    body = data[128 + header["ext_len"]:-tail]
    need(len(body) == header["body_len"] and len(data) >= 128 + tail, "the file has another length than its header says")
    need(hashlib.sha256(body).digest() == header["body_checksum"], "the body's checksum is wrong")
    return body

def read_v1(data, header):
    """Entries of a sealed version 1 segment: (sequence, commit time, its exactness, chain hash, payload)."""
    body, chain = body_of(data, header, 32), None
    body = io.BytesIO(unzstd(body) if header["flags"] & 0x01 else body)
    commit_ms = header["created_ms"] if header["legacy"] else header["last_commit_ms"]
    for sequence in range(header["first_seq"], header["last_seq"] + 1):
        fixed = take(body, 48)
        crc, length, found, before = struct.unpack(">IIQ32s", fixed)
        payload = take(body, length)
        need(crc == crc32c(fixed[4:] + payload) and found == sequence, "an entry's CRC or sequence is wrong")
        need(before == chain if chain else before[:8] == header["prev_segment_checksum"], "the chain is broken")
        chain = hashlib.sha256(before + payload).digest()
        yield sequence, commit_ms, False, chain, payload
    need(not body.read(1) and data[-32:] == chain, "bytes follow the last entry, or the trailer is not its chain hash")

def read_v2(data, header):
    """The same of version 2."""
    need(not header["flags"] & 0x10, "encrypted", Skipped)
    body_of(data, header, 64)
    body_end, flags = len(data) - 64, header["flags"]
    index_offset, index_len, frame_count, first_seq, last_seq, *rest, zeros, crc = struct.unpack(">QIIQQBB26sI", data[body_end:])
    need(crc == crc32c(data[body_end:-4]) and zeros == bytes(26), "the footer is damaged")
    need([first_seq, last_seq, *rest] == [header["first_seq"], header["last_seq"], 2, flags], "the footer contradicts the header")
    need(index_len == 56 * frame_count and index_offset + index_len + 32 == body_end, "the index does not fill its place")
    index = data[index_offset:body_end]
    at, sequence, commit_ms, chain = 128 + header["ext_len"], first_seq, header["first_commit_ms"], None
    for row in range(frame_count):
        crc, stored_len, raw_len, count, first, first_ms, before = struct.unpack(">IIIIQq32s", data[at:at + 64])
        need(crc == crc32c(data[at + 4:at + 64 + stored_len]), "a frame's CRC is wrong")
        need(index[56 * row:56 * row + 56] == struct.pack(">Qqq", at, first, first_ms) + before, "the index contradicts a frame")
        need(first == sequence and first_ms >= commit_ms and before == (chain or before), "a frame does not continue the one before")
        need(chain or before[:8] == header["prev_segment_checksum"], "the chain is broken")
        raw = data[at + 64:at + 64 + stored_len]
        raw = unzstd(raw) if flags & 0x01 else raw
        found = rows(raw, count) if not flags & 0x20 else columns(raw, count) if raw[0] else rows(raw[1:], count)
        chain, commit_ms, length = before, first_ms, 0
        for delta, payload in found:
            need(sequence > first or delta == 0, "the first entry of a frame has a delta")
            length += len(to_varint(len(payload)) + to_varint(delta) + payload)
            commit_ms, chain = commit_ms + delta, hashlib.sha256(chain + payload).digest()
            yield sequence, commit_ms, True, chain, payload
            sequence += 1
        need(length == raw_len, "a frame has another length than it says")
        at += 64 + stored_len
    need(at == index_offset and sequence == last_seq + 1, "the frames do not fill the body")
    need(commit_ms == header["last_commit_ms"] and index[index_len:] == chain, "the last commit time or chain hash is wrong")

def read_open(data, header):
    """Whole records of an open segment, up to the first place where none stands; nothing is said about what follows."""
    need(hashlib.sha256(data[128:176]).digest() == header["body_checksum"], "the extension is damaged")
    nonce, chain, at, sequence = data[128:144], data[144:176], 176, header["first_seq"]
    while at + 56 <= len(data) and data[at:at + 16] == nonce:
        header_crc, body_crc, length, count, first, commit_ms, _durable = struct.unpack(">IIIIQqQ", data[at + 16:at + 56])
        end = at + 56 + (length + 7) // 8 * 8
        covered = data[at:at + 16] + data[at + 20:at + 56] + struct.pack(">Q", at)
        if header_crc != crc32c(covered) or end > len(data) or body_crc != crc32c(data[at + 56:end]): break
        need(first == sequence, "a record has another sequence")
        for delta, payload in rows(data[at + 56:at + 56 + length], count):
            commit_ms, chain = commit_ms + delta, hashlib.sha256(chain + payload).digest()
            yield sequence, commit_ms, True, chain, payload
            sequence += 1
        at = end

def entries(data):
    header = read_header(data)
    need(header["version"] != 1 or header["flags"], "the predecessor's open segments are not read here")
    yield from {1: read_v1, 2: read_v2, 3: read_open}[header["version"]](data, header)

def main(paths):
    failed = 0
    for path in paths:
        try:
            for sequence, commit_ms, exact, chain, payload in entries(open(path, "rb").read()):
                commit = str(commit_ms) if exact else f"{commit_ms} at most"
                print(f"entry {sequence} {commit} {chain.hex()} {payload.decode('utf-8', 'replace')}")
            print(f"whole {path}")
        except Skipped as why:
            print(f"skipped {path}: {why}")
        except (Damaged, IndexError, struct.error) as what:
            print(f"damaged {path}: {what}")
            failed = 1
    return failed

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
