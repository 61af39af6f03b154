import "fake-indexeddb/auto";
import { beforeEach, expect, test, vi } from "vitest";
import { linkOf } from "../src/journal/chain";
import { type Database, openDatabase } from "../src/journal/database";
import { Journal, JournalLost, WrongMoment } from "../src/journal/journal";

const SENDER = { owner: "terminal/stall-1", device: "till-1" };
const sale = (n: number) => ({ kind: "sale", body: { sale: `s${n}`, total_fen: 100 * n } });
let db: Database;
let sessions = 0;

const journalOf = (database: Database) =>
  new Journal(database, SENDER, { now: () => Date.UTC(2026, 4, 2, 7) }, () => `session-${++sessions}`);

beforeEach(async () => {
  sessions = 0;
  db = await openDatabase(`till-${Math.random()}`);
  await Journal.begin(db, "thumbprint");
});

test("rows are numbered in their session, and chained across sessions", async () => {
  const journal = journalOf(db);
  const rows = [await journal.record({ kind: "open", body: { float_fen: 0 } })];
  for (const n of [1, 2]) rows.push(await journal.record(sale(n)));
  rows.push(await journal.record({ kind: "close", body: {} }));
  rows.push(await journal.record({ kind: "open", body: { float_fen: 500 } }));
  expect(rows.map(({ session, seq, place }) => [session, seq, place])).toEqual([
    ["session-1", 1, 1],
    ["session-1", 2, 2],
    ["session-1", 3, 3],
    ["session-1", 4, 4],
    ["session-2", 1, 5],
  ]);
  let previous = "thumbprint";
  for (const row of rows) {
    expect(row.previous).toBe(previous);
    previous = await linkOf(SENDER, JSON.parse(row.text), previous);
    expect(row.link).toBe(previous);
  }
});

test("two windows that record at the same time lose nothing and break no link", async () => {
  const windows = [journalOf(db), journalOf(db)];
  await windows[0]?.record({ kind: "open", body: {} });
  await Promise.all(windows.flatMap((window, w) => [1, 2, 3, 4, 5].map((n) => window.record(sale(10 * w + n)))));
  const rows = await db.getAllFromIndex("journal", "waiting");
  expect(rows.map((row) => row.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(new Set(rows.map((row) => row.text)).size).toBe(11);
  for (const [n, row] of rows.entries()) expect(row.previous).toBe(n ? rows[n - 1]?.link : "thumbprint");
});

test("the cart is deleted with the sale that it became, and stays when the sale was not stored", async () => {
  const journal = journalOf(db);
  await journal.record({ kind: "open", body: {} });
  await db.put("cart", { lines: [] }, "s1");
  const add = vi.spyOn(IDBObjectStore.prototype, "add").mockImplementationOnce(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  await expect(journal.record(sale(1), "s1")).rejects.toThrow("full");
  add.mockRestore();
  expect(await db.get("cart", "s1")).toEqual({ lines: [] });
  expect((await journal.head()).seq).toBe(1);
  await journal.record(sale(1), "s1");
  expect(await db.get("cart", "s1")).toBeUndefined();
  expect((await journal.head()).seq).toBe(2);
});

test("a row is durable before it counts: the transaction is strict", async () => {
  const transaction = vi.spyOn(IDBDatabase.prototype, "transaction");
  await journalOf(db).record({ kind: "open", body: {} });
  const writes = transaction.mock.calls.filter(([, mode]) => mode === "readwrite");
  transaction.mockRestore();
  expect(writes).toHaveLength(1);
  expect(writes[0]?.[2]).toEqual({ durability: "strict" });
});

test("a sale needs an open stall, and a stall is opened once", async () => {
  const journal = journalOf(db);
  await expect(journal.record(sale(1))).rejects.toThrow(WrongMoment);
  await journal.record({ kind: "open", body: {} });
  await expect(journal.record({ kind: "open", body: {} })).rejects.toThrow(WrongMoment);
  await journal.record({ kind: "close", body: {} });
  await expect(journal.record(sale(1))).rejects.toThrow(WrongMoment);
});

test("an emptied database is not begun again silently", async () => {
  await expect(journalOf(await openDatabase("emptied")).record(sale(1))).rejects.toThrow(JournalLost);
});
