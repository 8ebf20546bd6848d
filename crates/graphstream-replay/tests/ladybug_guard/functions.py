"""What LadybugDB says about its functions, as JSON: {name: {"type", "called", "differs"}}.

Every scalar function is called with constants for whatever signature it lists, twice in each of two databases, one of which has counted and stored something
before: "called" says whether any of that was computed, "differs" whether results did.
"""

import collections
import json
import re
import time

import ladybug

CONSTANTS = {
    "BOOL": "true", "STRING": "'2024-02-29'", "DOUBLE": "1.5", "FLOAT": "cast(1.5 AS FLOAT)", "DATE": "date('2024-02-29')",
    "TIMESTAMP": "timestamp('2024-02-29 12:00:00')", "INTERVAL": "interval('1 day')", "BLOB": "blob('ab')",
    "UUID": "uuid('00112233-4455-6677-8899-aabbccddeeff')", "LIST": "[3, 1, 2]", "ANY": "7", "INTERNAL_ID": "internal_id(0, 0)",
    "ARRAY": "cast([3, 1, 2] AS INT64[3])", "MAP": "map(['a'], [1])", "STRUCT": "{a: 1}", "UNION": "union_value(a := 1)",
    "DECIMAL": "cast(1.5 AS DECIMAL(10, 2))",
}
INTEGERS = re.compile(r"U?INT(8|16|32|64|128)$")
SPECIAL = {
    "all": "all(x IN [1, 2] WHERE x > 0)", "any": "any(x IN [1, 2] WHERE x > 1)", "none": "none(x IN [1, 2] WHERE x > 2)",
    "single": "single(x IN [1, 2] WHERE x > 1)", "list_transform": "list_transform([1, 2], x -> x + 1)",
    "list_filter": "list_filter([1, 2], x -> x > 1)", "list_reduce": "list_reduce([1, 2], (x, y) -> x + y)",
    "date_part": "date_part('year', date('2024-02-29'))", "datepart": "datepart('year', date('2024-02-29'))",
    "date_trunc": "date_trunc('month', date('2024-02-29'))", "datetrunc": "datetrunc('month', date('2024-02-29'))",
    "struct_extract": "struct_extract({a: 1}, 'a')", "struct_pack": "struct_pack(a := 1)", "union_value": "union_value(a := 1)",
    "union_tag": "union_tag(union_value(a := 1))", "union_extract": "union_extract(union_value(a := 1), 'a')",
    "interval": "interval('1 day')", "duration": "duration('1 day')", "to_interval": "to_interval('1 day')",
    "to_uuid": "to_uuid('00112233-4455-6677-8899-aabbccddeeff')", "uuid": "uuid('00112233-4455-6677-8899-aabbccddeeff')",
    "cast": "cast(1 AS STRING)", "coalesce": "coalesce(null, 1)", "ifnull": "ifnull(null, 1)", "nullif": "nullif(1, 2)",
    "map": "map(['a'], [1])", "range": "range(1, 5)", "count_if": "count_if(true)", "factorial": "factorial(5)",
    "acos": "acos(0.5)", "asin": "asin(0.5)", "regexp_replace": "regexp_replace('abc', 'b', 'x')", "even": "even(1.5)",
    "to_bool": "to_bool('true')", "split_part": "split_part('a b', ' ', 1)", "rpad": "rpad('a', 3, 'b')", "lpad": "lpad('a', 3, 'b')",
    "array_value": "array_value(1, 2)", "decode": "decode(encode('x'))", "to_blob": "to_blob('ab')", "blob": "blob('ab')",
    "greatest": "greatest(1, 2)", "least": "least(1, 2)", "concat_ws": "concat_ws('-', 'a', 'b')", "keys": "keys({a: 1})",
    "make_date": "make_date(2024, 2, 29)", "time_bucket": "time_bucket(interval('1 day'), date('2024-02-29'))",
    "constant_or_null": "constant_or_null(1, 2)", "list_slice": "list_slice([1, 2, 3], 1, 2)", "bitwise_xor": "bitwise_xor(1, 3)",
    "list_to_string": "list_to_string(',', ['a', 'b'])", "array_slice": "array_slice([1, 2, 3], 1, 2)", "error": "1",
}


def arguments(signature):
    inside = re.match(r"\((.*?)\)(?: ->|$)", signature)[1]
    kinds = [kind for kind in re.split(r",(?![^(]*\))", inside) if kind]
    values = []
    for kind in kinds:
        base = re.sub(r"[\[(].*", "", kind).strip()
        values.append("3" if INTEGERS.match(base) else CONSTANTS.get(base))
    return None if None in values else values


def main():
    fresh, used = (ladybug.Connection(ladybug.Database(":memory:")) for _ in range(2))
    used.execute("CREATE NODE TABLE N (id SERIAL, x INT64, PRIMARY KEY (id))")
    used.execute("UNWIND range(1, 5000) AS x CREATE (:N {x: x})")
    listed = collections.defaultdict(lambda: {"type": None, "calls": []})
    for name, kind, signature in fresh.execute("CALL show_functions() RETURN *").get_all():
        entry = listed[name.lower()]
        entry["type"] = kind
        if kind == "SCALAR FUNCTION" and re.match(r"\w+$", name):
            values = arguments(signature)
            if values is not None and len(entry["calls"]) < 12:
                entry["calls"].append(f"{name}({', '.join(values)})")
    found = {}
    for name, entry in listed.items():
        called, differs = False, False
        for call in ([SPECIAL[name]] if name in SPECIAL else []) + entry["calls"]:
            results = set()
            for connection in (fresh, used, fresh, used):
                try:
                    results.add(repr(connection.execute(f"RETURN {call}").get_all()))
                    called = True
                except RuntimeError:
                    pass
                time.sleep(0.0005)
            differs |= len(results) > 1
        found[name] = {"type": entry["type"], "called": called, "differs": differs}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
