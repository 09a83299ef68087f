"""How long a table of ten million interactions takes from its file to a data set, and how much memory.

Each file is read in a process of its own. `read_s` is from the file to the sorted interactions; `peak_gb` the peak
resident memory from then on, less what the process held before, with pyarrow loaded; `arrays_gb` the size of the
interactions themselves (ids, weight, time: 20 bytes each). The synthetic log has 200,000 queries, 50,000 items whose
popularity follows Zipf's law, texts as ids, and a line each in order of time; `by query` has the same lines query by
query, as MovieLens' files. Repeated pairs are left out in reading.

python benchmarks/load.py --save=results/benchmarks/load
"""

import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from typing import Any

import command
import machine
import numpy as np
from absl import flags

from recjax import configs, datasets, reports

QUERIES, ITEMS = 200_000, 50_000
COLUMNS = ("file_gb", "duplicates", "read_s", "million_rows_s", "arrays_gb", "peak_gb", "peak_to_arrays")

ROWS = flags.DEFINE_integer("rows", 10_000_000, "Interactions.", 1000)
REPEATS = flags.DEFINE_integer("repeats", 3, "Processes a file; the median counts.", 1)
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")
READ = flags.DEFINE_string("read", None, "Reads this file alone, in this process: what the parent starts.")


def write(folder: pathlib.Path, rows: int) -> list[pathlib.Path]:
    """The three files of the same interactions."""
    import pyarrow as pa  # noqa: PLC0415  not in the processes that are measured
    from pyarrow import csv, parquet  # noqa: PLC0415

    rng = np.random.default_rng(0)
    rank = (np.exp(rng.random(rows) * np.log(ITEMS)) - 1).astype(np.int64)  # density ~ 1 / (1 + rank)
    query = rng.integers(0, QUERIES, rows)
    when = 10**9 + np.sort(rng.integers(0, 10**8, rows))
    names = [pa.array([f"{side}{n:06d}" for n in range(count)]) for side, count in (("u", QUERIES), ("i", ITEMS))]
    table = pa.table(
        {
            "query": names[0].take(pa.array(query)),
            "item": names[1].take(pa.array(rank)),
            "rating": rng.integers(1, 11, rows) / 2,
            "time": when,
        }
    )
    paths = [folder / "by_time.csv", folder / "by_query.csv", folder / "by_time.parquet"]
    csv.write_csv(table, paths[0], csv.WriteOptions(quoting_style="none"))
    parquet.write_table(table, paths[2])
    csv.write_csv(
        table.take(pa.array(np.argsort(query, kind="stable"))), paths[1], csv.WriteOptions(quoting_style="none")
    )
    return paths


def measure(path: pathlib.Path) -> dict[str, Any]:
    """One file, in this process."""
    import pyarrow.csv  # noqa: PLC0415  the library's own code is not counted
    import pyarrow.parquet  # noqa: F401, PLC0415

    columns = configs.Columns(files=(path.name,), time="time", rating="rating")
    settings = configs.Data(name="table", path=str(path.parent), columns=columns)
    machine.forget_peak()
    before, begin = machine.peak(), time.perf_counter()
    found = datasets.table(settings)
    seconds, peak = time.perf_counter() - begin, machine.peak() - before
    arrays = sum(part.nbytes for part in found.interactions) / 1e9
    rows = len(found.interactions.query) + found.notes["duplicates"]
    assert rows == ROWS.value
    return {
        "file_gb": path.stat().st_size / 1e9,
        "read_s": seconds,
        "duplicates": found.notes["duplicates"],
        "million_rows_s": rows / seconds / 1e6,
        "arrays_gb": arrays,
        "peak_gb": peak,
        "peak_to_arrays": peak / arrays,
    }


def main() -> None:
    if READ.value:
        print(json.dumps(measure(pathlib.Path(READ.value))))
        return
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in write(pathlib.Path(folder), ROWS.value):
            found = []
            for _ in range(REPEATS.value):
                one = [sys.executable, __file__, f"--read={path}", f"--rows={ROWS.value}"]
                done = subprocess.run(one, capture_output=True, text=True, check=True)
                found.append(json.loads(done.stdout.splitlines()[-1]))
            name = path.name.replace("_", " ")
            rows[name] = {column: float(np.median([one[column] for one in found])) for column in COLUMNS}
            rows[name]["seconds"] = [one["read_s"] for one in found]
            print(name, reports.number(rows[name]["read_s"]), "s", flush=True)
    print(reports.table(rows, COLUMNS))
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": {**machine.device(), "python": platform.python_version(), "load": os.getloadavg()[0]},
        "rows": rows,
        "interactions": ROWS.value,
        "repeats": REPEATS.value,
    }
    command.save(SAVE.value, result)


if __name__ == "__main__":
    command.run(main)
