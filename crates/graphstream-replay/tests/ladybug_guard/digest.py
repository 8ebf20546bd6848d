"""A digest of what a LadybugDB holds, whatever its internal ids and the order of its rows: one line for each table, on standard output."""

import hashlib
import sys

import ladybug


def plain(item):
    """A value without the numbers that the database gives."""
    if isinstance(item, dict):
        return {key: plain(field) for key, field in item.items() if key not in ("_id", "_src", "_dst")}
    if isinstance(item, list):
        return [plain(element) for element in item]
    return item


connection = ladybug.Connection(ladybug.Database(sys.argv[1], read_only=True))
for name, kind in sorted(connection.execute("CALL show_tables() RETURN name, type").get_all()):
    if name == "graphstream_position":
        continue
    pattern = f"(n:`{name}`) RETURN n" if kind == "NODE" else f"(a)-[r:`{name}`]->(b) RETURN a, r, b"
    rows = sorted(repr(plain(row)) for row in connection.execute(f"MATCH {pattern}").get_all())
    print(name, len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
for row in sorted(connection.execute("CALL show_sequences() RETURN *").get_all(), key=repr):
    print("sequence", row)
