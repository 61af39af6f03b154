"""The statements that write dispatch's tables: each takes any number of rows as one JSON array (`rows.to_json`), so a
table costs one round trip however many rows change.

A column is added in three steps:

1. a migration appends the column, which may be null: older processes write rows without it while a deploy rolls;
2. the dataclass that `rows` maps to the table gets a field of the same name, with the default None;
3. if the column changes after the row was inserted, it goes into the `on conflict` clause here.

No other place lists columns. `tests/unit/test_dispatch_rows.py` compares the clauses with the dataclasses.
"""

WAITS_FOR_PLAN = "state = 'incomplete' and waits[1] like 'wave/%'"
"""The condition of jobs that wait for a wave's plan; the same as that of the index `job_late`."""
CATALOG = """
insert into catalog select * from json_populate_recordset(null::catalog, $1::json)
on conflict (key) do update set (type, body) = (excluded.type, excluded.body)
"""
RECIPIENT = """
insert into recipient select * from json_populate_recordset(null::recipient, $1::json)
on conflict ("order") do update set
  (name, phone, address, lat, lon, code, erased) =
  (excluded.name, excluded.phone, excluded.address, excluded.lat, excluded.lon, excluded.code, excluded.erased)
"""
WAVE = """
insert into wave select * from json_populate_recordset(null::wave, $1::json)
on conflict (id) do update set
  (station, slot_from, slot_until, cutoff, capacity, state, version, blocked) =
  (excluded.station, excluded.slot_from, excluded.slot_until, excluded.cutoff, excluded.capacity, excluded.state,
   excluded.version, null)
"""
JOB = """
insert into job select * from json_populate_recordset(null::job, $1::json)
on conflict (id) do update set
  (state, waits, load_g, cold_ml, wave, slot_from, slot_until, as_promised, courier, epoch, trip, stop, eta, attempts,
   wrong_codes, reason) =
  (excluded.state, excluded.waits, excluded.load_g, excluded.cold_ml, excluded.wave, excluded.slot_from,
   excluded.slot_until, excluded.as_promised, excluded.courier, excluded.epoch, excluded.trip, excluded.stop,
   excluded.eta, excluded.attempts, excluded.wrong_codes, excluded.reason)
"""
PLAN = "insert into plan select * from json_populate_recordset(null::plan, $1::json)"
ATTEMPT = "insert into job_attempt select * from json_populate_recordset(null::job_attempt, $1::json)"
EVIDENCE = "insert into evidence select * from json_populate_recordset(null::evidence, $1::json)"
