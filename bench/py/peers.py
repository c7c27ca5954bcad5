"""DuckDB and polars on W3, W4 and W9: `peers.py WORKLOAD CASE --items N`, one JSON line.

`peers.py --has CASE` succeeds when the case's package is installed. Needs: pip install duckdb polars
The checksums are those of bench-common (texts.rs, records.rs); they are computed outside the time.
"""

import hashlib
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("BENCH_DATA", os.path.join(HERE, "..", "data"))
OUT = os.environ.get("BENCH_OUT", os.path.join(HERE, "..", "out"))
MASK = (1 << 64) - 1
MEASURES = ["temperature", "salinity", "pressure", "oxygen"]


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def word_sum(word, count):
    first = word.encode()[0] if word else 0
    return mix((count ^ (first << 40)) & MASK) + 1


def spread_sum(key, low, high, total, count):
    parts = len(key.encode()) ^ (total & MASK) ^ (count << 32)
    parts ^= ((low & MASK) << 8) & MASK
    parts ^= ((high & MASK) << 16) & MASK
    return mix(parts & MASK) + 1


def hex_of(sums):
    return f"{sum(sums) & MASK:016x}"


def rust_float(x):
    return repr(int(x)) if float(x).is_integer() else repr(x)


def digest_of_records(path):
    lines = []
    for line in open(path):
        r = json.loads(line)
        parts = [r["key"], str(r["ts"]), r["source"]]
        for name, note in zip(MEASURES, r["notes"]):
            parts += [rust_float(r[name]), note]
        lines.append("\t".join(parts).encode())
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def duckdb_with(threads):
    import duckdb

    db = duckdb.connect()
    db.execute(f"set threads={threads}; set preserve_insertion_order=false")
    db.execute("set enable_progress_bar=false")
    return db


def run(workload, engine, threads, items):
    """The work, and what makes its checksum of the result."""
    path = os.path.join(DATA, f"{workload}-{items}.{'ndjson' if workload == 'w9' else 'txt'}")
    out = os.path.join(OUT, f"{workload}-{engine}-{os.getpid()}.ndjson")
    os.makedirs(OUT, exist_ok=True)
    duck = duckdb_with(threads) if engine == "duckdb" else None
    if engine == "polars":
        import polars as pl
    if workload == "w3" and duck:
        q = (
            f"select w, count(*) n from (select unnest(string_split(l, ' ')) w from "
            f"read_csv('{path}', columns={{'l': 'VARCHAR'}}, delim='\x01', quote='', escape='', "
            "header=false)) group by w"
        )
        return lambda: duck.execute(q).fetchall(), lambda rows: hex_of(word_sum(*r) for r in rows)
    if workload == "w3":
        lines = pl.scan_csv(
            path, has_header=False, separator="\x01", quote_char=None, new_columns=["l"]
        )
        words = lines.select(pl.col("l").str.split(" ").alias("w")).explode("w")
        counts = words.group_by("w").len()
        work = lambda: counts.collect(engine="streaming")
        return work, lambda frame: hex_of(word_sum(*r) for r in frame.rows())
    if workload in ("w4", "w4m") and duck:
        q = (
            f"select k, (min(v) * 10)::int, (max(v) * 10)::int, (sum(v) * 10)::bigint, count(*) "
            f"from read_csv('{path}', columns={{'k': 'VARCHAR', 'v': 'DECIMAL(8,1)'}}, delim=';', "
            "header=false) group by k"
        )
        return lambda: duck.execute(q).fetchall(), lambda rows: hex_of(spread_sum(*r) for r in rows)
    if workload in ("w4", "w4m"):
        rows = pl.scan_csv(
            path, has_header=False, separator=";", schema={"k": pl.String, "v": pl.Float64}
        )
        spread = rows.group_by("k").agg(
            pl.col("v").min().alias("a"),
            pl.col("v").max().alias("b"),
            pl.col("v").sum().alias("c"),
            pl.len(),
        )
        tenths = lambda r: (r[0], round(r[1] * 10), round(r[2] * 10), round(r[3] * 10), r[4])
        work = lambda: spread.collect(engine="streaming")
        return work, lambda frame: hex_of(spread_sum(*tenths(r)) for r in frame.rows())
    if workload == "w9" and duck:
        values = ", ".join(f"max(case when var = '{m}' then value end) {m}" for m in MEASURES)
        notes = ", ".join(f"max(case when var = '{m}' then note end)" for m in MEASURES)
        types = (
            "{key: 'VARCHAR', var: 'VARCHAR', value: 'DOUBLE', ts: 'BIGINT', source: 'VARCHAR', "
            "note: 'VARCHAR', flags: 'BIGINT[]'}"
        )
        q = (
            f"copy (select key, max(ts) ts, any_value(source) source, {values}, [{notes}] notes "
            f"from read_json('{path}', format='newline_delimited', columns={types}) "
            f"group by key having count(*) = 4) to '{out}' (format json)"
        )
        return lambda: duck.execute(q), lambda _: finish(out)
    if workload == "w9":
        of = lambda column, m: pl.col(column).filter(pl.col("var") == m).first()
        records = (
            pl.scan_ndjson(path)
            .group_by("key")
            .agg(
                pl.col("ts").max(),
                pl.col("source").first(),
                *[of("value", m).alias(m) for m in MEASURES],
                *[of("note", m).alias(f"n{i}") for i, m in enumerate(MEASURES)],
                pl.len().alias("n"),
            )
            .filter(pl.col("n") == 4)
            .with_columns(pl.concat_list(*[f"n{i}" for i in range(4)]).alias("notes"))
            .select("key", "ts", "source", *MEASURES, "notes")
        )
        work = lambda: records.collect(engine="streaming").write_ndjson(out)
        return work, lambda _: finish(out)
    sys.exit(f"no case {engine} in workload {workload}")


def finish(out):
    digest = digest_of_records(out)
    os.remove(out)
    return digest


def peak_mib():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    return 0.0


def main():
    if sys.argv[1] == "--has":
        __import__(sys.argv[2].split("-")[0])
        return
    workload, case, items = sys.argv[1], sys.argv[2], int(sys.argv[4])
    engine, threads = case.split("-")
    threads = int(threads.rstrip("t"))
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    work, check = run(workload, engine, threads, items)
    cpu, start = time.process_time(), time.perf_counter()
    result = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    rss = peak_mib()
    line = dict(workload=workload, case=case, items=items, seconds=seconds)
    line.update(ns_item=seconds * 1e9 / items, cpu_seconds=cpu, rss_mib=rss)
    print(json.dumps(dict(line, check=check(result), metrics={})))


main()
