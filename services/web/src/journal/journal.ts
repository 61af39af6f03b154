/** The journal: a fact is recorded once, in one transaction, before the screen says so. */

import { canonical, type Json } from "./canonical";
import { linkOf, type Sender, type Upload } from "./chain";
import type { Database, Head, Row } from "./database";
import { withLock } from "./locks";

/** Something that happened at the device. */
export interface Fact {
  readonly kind: string;
  readonly body: { readonly [name: string]: Json };
}

/** The device's time. */
export interface DeviceClock {
  /** Return milliseconds since 1970. */
  now(): number;
}

/** A fact that can't be recorded now: no session is open, or one is open already. */
export class WrongMoment extends Error {}

/** The journal was lost: its database has no chain, though the device had one. */
export class JournalLost extends Error {}

const STORES = ["head", "journal", "cart"] as const;
const PATIENCE_MS = 1000;
const ATTEMPTS = 50;

export class Journal {
  /** `newSession` returns a name for a session that no other session has. */
  constructor(
    private readonly db: Database,
    private readonly sender: Sender,
    private readonly clock: DeviceClock,
    private readonly newSession: () => string,
  ) {}

  /** Begin the chain of a new device with the thumbprint of its key. */
  static async begin(db: Database, thumbprint: string): Promise<void> {
    const tx = db.transaction("head", "readwrite", { durability: "strict" });
    await Promise.all([tx.store.add({ session: null, day: "", seq: 0, place: 0, link: thumbprint }, "head"), tx.done]);
  }

  /** Return the end of the chain. Throws `JournalLost`. */
  async head(): Promise<Head> {
    const head = await this.db.get("head", "head");
    if (!head) throw new JournalLost("This device has no journal: its data were cleared");
    return head;
  }

  /**
   * Record a fact and return its row once it is durable; the draft `cart` is deleted in the same transaction.
   *
   * `open` begins a session of the market day in its body, `close` ends it. Two tabs can record at the same time: the one whose transaction comes
   * second finds the chain moved on, and builds its row anew. Rejects if nothing was stored; then the cart is still
   * there.
   */
  async record(fact: Fact, cart?: string): Promise<Row> {
    return withLock("journal", PATIENCE_MS, async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const head = await this.head();
        const row = await this.build(fact, head); // hashed outside of the transaction, which would end meanwhile
        if (await this.append(fact, head, row, cart)) return row;
      }
      throw new Error("Other windows of this device keep recording: close them");
    });
  }

  private async build(fact: Fact, head: Head): Promise<Row> {
    const opens = fact.kind === "open";
    if (opens === (head.session !== null)) {
      throw new WrongMoment(opens ? "The stall is open already" : "The stall is not open");
    }
    const recorded = this.clock.now();
    const upload: Upload = {
      session: head.session ?? this.newSession(),
      seq: opens ? 1 : head.seq + 1,
      recorded_at: new Date(recorded).toISOString(),
      kind: fact.kind,
      body: fact.body,
    };
    return {
      session: upload.session,
      seq: upload.seq,
      place: head.place + 1,
      kind: upload.kind,
      day: opens ? String(fact.body.market_day) : head.day,
      text: canonical({ ...upload }),
      previous: head.link,
      link: await linkOf(this.sender, upload, head.link),
      recorded,
      waiting: head.place + 1,
    };
  }

  private async append(fact: Fact, head: Head, row: Row, cart?: string): Promise<boolean> {
    const tx = this.db.transaction(STORES, "readwrite", { durability: "strict" });
    const current = await tx.objectStore("head").get("head");
    if (current?.link !== head.link) {
      tx.abort();
      await tx.done.catch(() => {});
      return false;
    }
    const session = fact.kind === "close" ? null : row.session;
    await Promise.all([
      tx.objectStore("journal").add(row),
      tx.objectStore("head").put({ session, day: row.day, seq: row.seq, place: row.place, link: row.link }, "head"),
      ...(cart === undefined ? [] : [tx.objectStore("cart").delete(cart)]),
      tx.done, // rejects when the transaction is aborted, also at its commit, where no request fails
    ]);
    return true;
  }

  /** Return how many rows wait for the server. */
  async unsent(): Promise<number> {
    return this.db.countFromIndex("journal", "waiting");
  }

  /** Return the rows of a session in their order. */
  async session(session: string): Promise<Row[]> {
    return this.db.getAll("journal", IDBKeyRange.bound([session, 0], [session, Number.MAX_SAFE_INTEGER]));
  }
}
