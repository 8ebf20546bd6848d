#!/usr/bin/env python3
"""What replication costs a LadybugDB: the same entries, in the same batches, through `follow` and fed directly, in turns.

    target/test-python/bin/python crates/graphstream-cli/benches/ladybug.py INPUT [--rounds 3]

Needs a release build of the command line, and lines as `append --input` takes them, such as the data set that the bundled sample is
part of. Both ways begin with a new process and an empty database and end with the database closed; the ratio is the time
of feeding directly by that of `follow`.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = ROOT / "target/release/graphstream"
EXAMPLES = ROOT / "crates/graphstream/examples"
SCHEMA = ROOT / "crates/graphstream-cli/sample/schema-ladybug.jsonl"
BATCH = 500  # the follower's default

DIRECTLY = """
import itertools, json, sys
sys.path.insert(0, sys.argv[1])
import ladybug_target as example
database = example.Target(sys.argv[2])
lines = (json.loads(line) for path in sys.argv[3:] for line in open(path, encoding="utf-8"))
while batch := list(itertools.islice(lines, %d)):
    database.connection.execute("BEGIN TRANSACTION")
    for entry in batch:
        parameters = {key: example.value(item) for key, item in entry.get("params", {}).items()}
        database.connection.execute(entry["query"], parameters)
    database.connection.execute("COMMIT")
""" % BATCH


def timed(*command):
    started = time.monotonic()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=pathlib.Path, help="entries, as `append --input` takes them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        schema, lines = SCHEMA, arguments.input
        journal, store = scratch / "journal", f"file://{scratch}/store"
        for part in (schema, lines):
            timed(BINARY, "append", "--journal", journal, "--input", part)
        timed(BINARY, "replicate", "--journal", journal, "--database", "bench", "--to", store, "--once")
        ratios = []
        for turn in range(arguments.rounds):
            directly = timed(sys.executable, "-c", DIRECTLY, EXAMPLES, scratch / f"direct-{turn}", schema, lines)
            child = f"exec:{sys.executable} {EXAMPLES}/ladybug_target.py {scratch}/followed-{turn}"
            followed = timed(BINARY, "follow", "--from", store, "--database", "bench", "--target", child, "--once")
            ratios.append(directly / followed)
            print(f"directly {directly:.2f} s, follow {followed:.2f} s, ratio {ratios[-1]:.2f}", flush=True)
        counts = [
            json.loads(subprocess.check_output([sys.executable, EXAMPLES / "ladybug_target.py", scratch / path, "--counts"]))
            for path in ("direct-0", "followed-0")
        ]
        assert counts[0]["tables"] == counts[1]["tables"], counts
        print(f"median ratio {statistics.median(ratios):.2f} over {arguments.rounds} rounds, equal tables: {counts[0]['tables']}")


if __name__ == "__main__":
    main()
