"""Generates the instances in the repository: `python -m tests.bench.routing.generate FOLDER`.

Towns in clusters on a plane of 100 x 100, for each stop a window that the drive there and back allows. The same seed
gives the same file. The `.sol` beside each holds the cost of our best long run, not a proven optimum.
"""

from __future__ import annotations

import sys
from math import hypot
from pathlib import Path
from random import Random

DEPOT, HORIZON, SERVICE = (50, 50), 500, 10


def stops(count: int, random: Random) -> list[tuple[int, int, int, int, int]]:
    """Return x, y, demand, ready and due of each stop."""
    centres = [(random.uniform(10, 90), random.uniform(10, 90)) for _ in range(max(3, count // 20))]
    made = []
    for _ in range(count):
        centre = random.choice(centres)
        x, y = (min(100, max(0, round(random.gauss(middle, 9)))) for middle in centre)
        way = hypot(x - DEPOT[0], y - DEPOT[1])
        ready = random.uniform(way, HORIZON - way - SERVICE - 60)
        due = min(HORIZON - way - SERVICE, ready + random.choice((60, 120, 240)))
        made.append((x, y, random.randint(5, 30), int(ready), int(due)))
    return made


def one_trip(name: str, count: int, seed: int) -> str:
    """Return a problem with windows in Solomon's text format."""
    made = stops(count, Random(seed))
    rows = [(0, *DEPOT, 0, 0, HORIZON, 0), *((n, *stop, SERVICE) for n, stop in enumerate(made, 1))]
    table = "\n".join("".join(f"{value:>9}" for value in row) for row in rows)
    head = "CUST NO. XCOORD.  YCOORD.  DEMAND   READY    DUE      SERVICE"
    return f"{name}\n\nVEHICLE\nNUMBER   CAPACITY\n{count // 3:>5}{200:>9}\n\nCUSTOMER\n{head}\n\n{table}\n"


def many_trips(name: str, count: int, seed: int) -> str:
    """Return a problem with reloads and releases in VRPLIB's MTVRPTWR format."""
    random = Random(seed)
    made = stops(count, random)
    released = [int(random.random() * stop[3]) if random.random() < 0.6 else 0 for stop in made]
    vehicles = max(4, count // 9)
    head = (
        f"NAME: {name}\nTYPE: MTVRPTWR\nEDGE_WEIGHT_TYPE: EUC_2D\nDIMENSION: {count + 1}\nVEHICLES: {vehicles}\n"
        f"CAPACITY: 100\nSERVICE_TIME: {SERVICE}"
    )
    columns = {
        "NODE_COORD": [DEPOT, *(stop[:2] for stop in made)],
        "DEMAND": [(0,), *(stop[2:3] for stop in made)],
        "TIME_WINDOW": [(0, HORIZON), *(stop[3:] for stop in made)],
        "RELEASE_TIME": [(0,), *((moment,) for moment in released)],
        "VEHICLES_RELOAD_DEPOT": [(1,)] * vehicles,
    }
    sections = [
        "\n".join([f"{key}_SECTION", *("\t".join(map(str, (n, *row))) for n, row in enumerate(rows, 1))])
        for key, rows in columns.items()
    ]
    return "\n".join([head, *sections, "DEPOT_SECTION\n1\nEOF\n"])


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1])
    (folder / "windows-100.txt").write_text(one_trip("windows-100", 100, 1))
    (folder / "windows-400.txt").write_text(one_trip("windows-400", 400, 2))
    (folder / "trips-100.vrp").write_text(many_trips("trips-100", 100, 3))
    (folder / "trips-200.vrp").write_text(many_trips("trips-200", 200, 4))


if __name__ == "__main__":
    main()
