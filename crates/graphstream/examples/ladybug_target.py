#!/usr/bin/env python3
"""A LadybugDB that follows a graphstream journal: a target for `exec:`.

    graphstream follow --from file:///backup --database people --target "exec:python3 ladybug_target.py copy.lbug"
    python3 ladybug_target.py copy.lbug --counts        rows per table, as JSON

It prints its position, applies batches of entries from standard input, and stores the position in the transaction of the
batch: however it is killed, it continues exactly. The end of the input is the end. Needs `pip install ladybug`.
"""

import argparse
import base64
import datetime
import decimal
import json
import re
import sys
import uuid

import ladybug

POSITION = "graphstream_position"  # a table of ours beside the user's
CONTROLS_TRANSACTION = re.compile(
    r"(?:\s|/\*.*?\*/|//[^\r\n]*|EXPLAIN\b|PROFILE\b)*(BEGIN|COMMIT|ROLLBACK|CHECKPOINT)\b", re.IGNORECASE | re.DOTALL
)
DURATION = re.compile(r"(-?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6})0*)?S)?)?$")


def duration(text):
    match = DURATION.match(text)
    if not match:  # years and months have no length in days
        raise ValueError("a duration that LadybugDB's Python binding can't take")
    sign, weeks, days, hours, minutes, seconds, fraction = match.groups()
    micros = int((fraction or "0").ljust(6, "0"))
    length = datetime.timedelta(
        weeks=int(weeks or 0), days=int(days or 0), hours=int(hours or 0),
        minutes=int(minutes or 0), seconds=int(seconds or 0), microseconds=micros,
    )
    return -length if sign else length


def moment(text):
    fraction = re.search(r"\.\d{6}(\d*)", text)
    if fraction and fraction[1].strip("0"):  # fromisoformat would cut it off
        raise ValueError("a time finer than a microsecond, which LadybugDB's Python binding can't take")
    parsed = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    # The binding drops an offset instead of applying it: what it gets is UTC, as the database keeps it.
    return parsed if parsed.tzinfo is None else parsed.astimezone(datetime.timezone.utc)


def exact_decimal(text):
    return decimal.Decimal(format(decimal.Decimal(text), "f"))  # the binding takes no exponent


def int128(text):
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError("an integer beyond 64 bits, which LadybugDB's Python binding can't take")
    return number


def unsupported(kind):
    def refuse(_):
        raise ValueError(f"a value of kind {kind}, which LadybugDB can't hold")
    return refuse


KINDS = {
    "$date": datetime.date.fromisoformat,
    "$datetime": moment,
    "$localdatetime": moment,
    "$time": unsupported("time"),
    "$localtime": unsupported("localtime"),
    "$duration": duration,
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$uuid": uuid.UUID,
    "$decimal": exact_decimal,
    "$int128": int128,
    "$point": unsupported("point"),
    "$double": lambda text: float(text.replace("Infinity", "inf")),
    "$map": lambda fields: {key: value(item) for key, item in fields.items()},
}


def value(item):
    """A parameter's value: JSON, where one-key objects stand for what JSON can't say."""
    if isinstance(item, dict):
        if len(item) == 1:
            (key, text), = item.items()
            if key in KINDS:
                return KINDS[key](text)
        return {key: value(field) for key, field in item.items()}
    if isinstance(item, list):
        return [value(element) for element in item]
    return item


class Target:
    def __init__(self, path, read_only=False):
        # A kill can tear the end of LadybugDB's WAL, which it then refuses to open. What stands before holds whole transactions, each
        # with its position: the follower goes on from there.
        self.database = ladybug.Database(path, read_only=read_only, throw_on_wal_replay_failure=False)
        self.connection = ladybug.Connection(self.database)
        if not read_only:
            self.connection.execute(
                f"CREATE NODE TABLE IF NOT EXISTS {POSITION} "
                "(id INT64, lineage STRING, sequence INT64, chain_hash STRING, PRIMARY KEY (id))"
            )

    def position(self):
        rows = self.connection.execute(f"MATCH (p:{POSITION}) RETURN p.lineage, p.sequence, p.chain_hash")
        if not rows.has_next():
            return None
        return dict(zip(("lineage", "sequence", "chain_hash"), rows.get_next()))

    def apply(self, batch, commit):
        """Applies a batch and its position in one transaction. Returns the sequence and the reason of a refusal."""
        at = commit["sequence"]
        self.connection.execute("BEGIN TRANSACTION")
        try:
            for entry in batch:
                at = entry["sequence"]
                self.run(entry["query"], {key: value(item) for key, item in entry["params"].items()})
            at = commit["sequence"]
            self.connection.execute(
                f"MERGE (p:{POSITION} {{id: 0}}) "
                "SET p.lineage = $lineage, p.sequence = $sequence, p.chain_hash = $chain_hash",
                commit,
            )
            self.connection.execute("COMMIT")
        except Exception as error:  # whatever the database says becomes the answer
            try:
                self.connection.execute("ROLLBACK")
            except RuntimeError:
                pass  # the failure itself has already ended the transaction
            return {"sequence": at, "message": str(error)[:4096]}
        return None

    def run(self, query, parameters):
        """Runs one statement in the open transaction; what would end the transaction is refused."""
        if CONTROLS_TRANSACTION.match(query):
            raise ValueError("a statement that controls the transaction, which can't be replayed in one")
        # With a parameter, even one that isn't used, the text is prepared, and that takes a single statement only.
        self.connection.execute(query, parameters or {POSITION: None})

    def counts(self):
        counts = {}
        tables = self.connection.execute("CALL show_tables() RETURN name, type")
        while tables.has_next():
            name, kind = tables.get_next()
            if name != POSITION and kind in ("NODE", "REL"):
                pattern = f"(x:{name})" if kind == "NODE" else f"()-[x:{name}]->()"
                counts[name] = self.connection.execute(f"MATCH {pattern} RETURN count(*)").get_next()[0]
        return dict(sorted(counts.items()))


def serve(target):
    print(json.dumps({"position": target.position()}), flush=True)
    batch = []
    for line in sys.stdin:
        if not line.endswith("\n"):
            return  # the follower died while it wrote
        message = json.loads(line)
        if "commit" not in message:
            batch.append(message)
            continue
        refused = target.apply(batch, message["commit"])
        batch = []
        answer = {"error": refused} if refused else {"applied": message["commit"]["sequence"]}
        print(json.dumps(answer), flush=True)


def main():
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")  # whatever the locale says
    parser = argparse.ArgumentParser(description="A LadybugDB that follows a graphstream journal.")
    parser.add_argument("path", help="the database")
    parser.add_argument("--counts", action="store_true", help="print the rows per table as JSON and end")
    arguments = parser.parse_args()
    if arguments.counts:
        target = Target(arguments.path, read_only=True)
        print(json.dumps({"position": target.position(), "tables": target.counts()}))
    else:
        serve(Target(arguments.path))


if __name__ == "__main__":
    main()
