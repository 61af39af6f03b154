/** Sends what was recorded, in order and again until the server has it, and sets aside what it does not take. */

import { canonical } from "./canonical";
import type { Sender } from "./chain";
import type { Database, Row } from "./database";

/** The answer to one upload: `applied`, `repeated`, `conflict`, `quarantined`, `refused` or `kept`. */
export interface UploadAnswer {
  readonly session: string;
  readonly seq: number;
  readonly answer: string;
  readonly reason: string;
}

/** The part of a sync's answer that says what the server has: all through a number, but for the gaps. */
export interface Received {
  readonly uploads: readonly UploadAnswer[];
  readonly received_through: { readonly [session: string]: number };
  readonly gaps: { readonly [session: string]: readonly (readonly [number, number])[] };
}

type Send = (body: string, signal: AbortSignal) => Promise<Response>;

/** An answer that asks for patience: the server is busy or away. The rows stay as they are. */
export class Unavailable extends Error {}

const ROWS = 100;
const BYTES = 200 * 1024;
const PATIENCE_MS = 10_000;
/** Bytes in a millisecond of the slowest line that still works: 32 kbit/s. */
const SLOWEST = 4;
const DONE = new Set(["applied", "repeated"]);

export class Outbox {
  /** `send` posts a body to the sync route; `sign` signs with the key of the device. */
  constructor(
    private readonly db: Database,
    private readonly sender: Sender,
    private readonly sign: (text: string) => Promise<string>,
    private readonly send: Send,
    private readonly now: () => number,
  ) {}

  /**
   * Send all waiting rows, and return the last answer; without any, ask for what is new on a market day.
   *
   * A row counts as received when the server's account of the session says so, never because a request succeeded. Of
   * rows that the server can't read, the one at fault is found by halving and set aside; the others go on. Rejects
   * without a network, when a request is not answered in time, and with `Unavailable`; then the same bytes are sent next time.
   */
  async flush<T extends Received>(day: string): Promise<T> {
    let answer: T | undefined;
    let from = 0;
    for (;;) {
      const batch = await this.batch(from);
      const last = batch.at(-1);
      if (!last) break;
      answer = (await this.deliver<T>(batch)) ?? answer;
      from = last.place;
    }
    return answer ?? (await read<T>(await this.post([], day)));
  }

  /** Return the next waiting rows beyond a place that one request can carry: consecutive, of one day. */
  private async batch(from: number): Promise<Row[]> {
    const found = await this.db.getAllFromIndex("journal", "waiting", IDBKeyRange.lowerBound(from, true), ROWS);
    const batch: Row[] = [];
    let bytes = 0;
    for (const row of found) {
      const before = batch.at(-1);
      bytes += row.text.length * 3; // at most three bytes of UTF-8 for each code unit
      if (before && (row.place !== before.place + 1 || row.day !== before.day || bytes > BYTES)) break;
      batch.push(row);
    }
    return batch;
  }

  private async deliver<T extends Received>(rows: readonly Row[]): Promise<T | undefined> {
    const response = await this.post(rows, rows[0]?.day ?? "");
    if (response.status !== 422 && response.status !== 413) {
      const answer = await read<T>(response);
      await this.settle(rows, answer);
      return answer;
    }
    if (rows.length > 1) {
      const half = rows.length >> 1;
      const first = await this.deliver<T>(rows.slice(0, half));
      return (await this.deliver<T>(rows.slice(half))) ?? first;
    }
    const problem = await response.json().catch(() => ({}));
    await this.setAside(rows, `${problem.detail ?? problem.title ?? response.status}`);
    return undefined;
  }

  private async post(rows: readonly Row[], day: string): Promise<Response> {
    const first = rows[0];
    const last = rows.at(-1);
    const head = first && last ? { prev_hash: first.previous, signature: await this.sign(last.link) } : {};
    const members = canonical({ device: this.sender.device, market_day: day, ...head });
    const body = `${members.slice(0, -1)},"uploads":[${rows.map((row) => row.text).join(",")}]}`;
    const ending = new AbortController();
    // A line that takes a request and never answers is none; a slow one gets the time that the body needs.
    const timer = setTimeout(() => ending.abort(), PATIENCE_MS + body.length / SLOWEST);
    try {
      return await this.send(body, ending.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Mark the rows that the server has as received, and keep what it said about those that it did not apply. */
  private async settle(rows: readonly Row[], answer: Received): Promise<void> {
    const answers = new Map(answer.uploads.map((one) => [nameOf(one), one]));
    const tx = this.db.transaction(["journal", "outcome"], "readwrite", { durability: "strict" });
    const writes: Promise<unknown>[] = [tx.done];
    for (const row of rows) {
      const said = answers.get(nameOf(row));
      if (isReceived(row, answer, said)) {
        const { waiting: _, ...received } = row;
        writes.push(tx.objectStore("journal").put(received));
      }
      if (said && !DONE.has(said.answer)) {
        const { session, seq, reason } = said;
        writes.push(tx.objectStore("outcome").put({ session, seq, answer: said.answer, reason, at: this.now() }));
      }
    }
    await Promise.all(writes);
  }

  private async setAside(rows: readonly Row[], reason: string): Promise<void> {
    const tx = this.db.transaction(["journal", "outcome"], "readwrite", { durability: "strict" });
    const writes: Promise<unknown>[] = [tx.done];
    for (const row of rows) {
      const { waiting: _, ...aside } = row;
      const { session, seq } = row;
      writes.push(tx.objectStore("journal").put(aside));
      writes.push(tx.objectStore("outcome").put({ session, seq, answer: "set-aside", reason, at: this.now() }));
    }
    await Promise.all(writes);
  }
}

const nameOf = (row: { readonly session: string; readonly seq: number }) => `${row.session}/${row.seq}`;

function isReceived(row: Row, answer: Received, said: UploadAnswer | undefined): boolean {
  const through = answer.received_through[row.session];
  if (through === undefined) return false;
  if (row.seq <= through) return true;
  const missing = (answer.gaps[row.session] ?? []).some(([from, to]) => from <= row.seq && row.seq <= to);
  return said !== undefined && said.answer !== "quarantined" && !missing; // one of those may have got no number
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Unavailable(`status ${response.status}`);
  return response.json();
}
