"""Inner loops of the search over flat numpy arrays, compiled by numba (plain Python where that is not done yet).

Every function that changes tours leaves them feasible: loads, windows, releases, cold limits and shifts hold at all
times, so the search can stop at any moment.

Array layout
============

Everything is a number. Place 0 is the station, places 1..n are the orders, places behind them are the couriers' own
start and end places. A vehicle is a courier's shift, or the part of it before or after a break. A trip is a row of
`Tours.trip`; rows that are not in use wait on the stack `free_trips`.

`Fleet` holds what never changes (costs, times, capacities, windows). `Tours` holds a solution and is changed in place.
A trip is a doubly linked list of orders: the trip row knows its first and last order (HEAD, TAIL), each order's row
in `Tours.stop` knows its neighbours (NEXT, PREV, 0 for none) and its trip (TRIP, -1 when unserved).

Example: vehicle 0 drives orders 3 and 1, loads again and drives order 2; vehicle 1 is idle; order 4 is unserved.

    trip_count = [2, 0]             vehicle 0 has two trips, vehicle 1 none
    trips      = [[0, 1], [-, -]]   rows of `trip`, in driving order

    vehicle 0:  station -> 3 -> 1 -> station -> 2 -> home
                |---- trip 0 ----|  |--- trip 1 ----|

    trip    HEAD  TAIL  SIZE  VEHICLE        stop    NEXT  PREV  TRIP
      0       3     1     2      0             1       0     3     0
      1       2     2     1      0             2       0     0     1
      2      (free)                            3       1     0     0
                                               4       -     -    -1
    unserved = [4, ...]    totals = [cost, unserved orders: 1, free trips]

The other columns of the two tables are times and costs, which `tours.update` computes for one vehicle at a time: a
forward pass over its trips for the earliest times, a backward pass for the latest. With both, an insertion is checked
in constant time: arriving at a stop no later than its LATEST breaks nothing behind it.

               EARLIEST                        LATEST
    -----|--------|-------------------------------|-------|----> seconds
       OPENS   service begins as                any later    CLOSES
               early as possible            breaks a rule behind

Rows have 16 columns of 32 bits, one cache line of the processor; that doubles the speed. Sums that can exceed 32 bits
begin with `int64(...)`.

Modules, from the bottom: `fleet` and `jit`, `tours` (the solution and its times), `cold` (cold limits), `recreate`
(insertion), `trips` (moves of whole trips), `tails` (exchange of ends), `ruin` (removal and annealing).
"""
