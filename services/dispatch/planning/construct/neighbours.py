"""Finds the orders near an order, with a grid over the places or by the given distances."""

from __future__ import annotations

from collections import defaultdict
from heapq import nsmallest
from math import cos, radians, sqrt

from services.dispatch.planning.schedule.columns import Columns
from services.dispatch.planning.travel.matrix import Table

NEAREST = 24
CELL = 6  # average number of orders in a cell of the grid


class Neighbours:
    """Lists of near orders, for the orders that the columns had when it was made."""

    def __init__(self, columns: Columns) -> None:
        self.table = columns.base if isinstance(columns.base, Table) else None
        self.orders = list(columns.orders)
        self._known: dict[int, list[int]] = {}
        places = {n: order.place for n, order in columns.orders.items()}
        squeeze = cos(radians(columns.problem.station.lat))
        self.points = {n: (place.lat, place.lon * squeeze) for n, place in places.items()}
        lats, lons = [p[0] for p in self.points.values()], [p[1] for p in self.points.values()]
        area = max((max(lats) - min(lats)) * (max(lons) - min(lons)), 1e-6) if lats else 1
        self.side = sqrt(area * CELL / max(len(lats), 1))
        self.cells: dict[tuple[int, int], list[tuple[float, float, int]]] = defaultdict(list)
        for n, (lat, lon) in self.points.items():
            self.cells[int(lat // self.side), int(lon // self.side)].append((lat, lon, n))

    def of(self, x: int) -> list[int]:
        """Return at most `NEAREST` other orders, the nearest first; fewer in a sparse part of the grid."""
        found = self._known.get(x)
        if found is None:
            found = self._known[x] = self._found(x)
        return found

    def _found(self, x: int) -> list[int]:
        if self.table:
            row = self.table.rows_m[x]
            return nsmallest(NEAREST, (n for n in self.orders if n != x), key=row.__getitem__)
        lat, lon = self.points[x]
        i, j = int(lat // self.side), int(lon // self.side)
        found = [
            ((u - lat) * (u - lat) + (v - lon) * (v - lon), n)
            for a in (i - 1, i, i + 1)
            for b in (j - 1, j, j + 1)
            for u, v, n in self.cells.get((a, b), ())
        ]
        found.sort()
        return [n for _, n in found[: NEAREST + 1] if n != x]
