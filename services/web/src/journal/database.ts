/** The device's database: what was recorded, what waits, and what the device needs to work without a network. */

import { type DBSchema, type IDBPDatabase, openDB } from "idb";

/** An upload as it was recorded: never changed, and deleted only after the server has it. */
export interface Row {
  readonly session: string;
  readonly seq: number;
  /** The place of the row in the device's chain: 1, 2, ... across sessions. */
  readonly place: number;
  readonly kind: string;
  /** The market day of the row's session. */
  readonly day: string;
  /** The JSON text that is sent, byte for byte the same each time. */
  readonly text: string;
  readonly previous: string;
  readonly link: string;
  /** Milliseconds since 1970 by the device's clock. */
  readonly recorded: number;
  /** The place again while the server is not known to have the row; absent afterwards. */
  readonly waiting?: number;
}

/** The end of the chain, and the open session; `session` is null before the first one and after a close. */
export interface Head {
  readonly session: string | null;
  readonly day: string;
  readonly seq: number;
  readonly place: number;
  readonly link: string;
}

/** An upload that the server did not take as it is, with its answer and reason. */
export interface Outcome {
  readonly session: string;
  readonly seq: number;
  readonly answer: string;
  readonly reason: string;
  readonly at: number;
}

export interface Schema extends DBSchema {
  journal: { key: [string, number]; value: Row; indexes: { waiting: number; place: number } };
  head: { key: "head"; value: Head };
  cart: { key: string; value: unknown };
  outcome: { key: [string, number]; value: Outcome };
  meta: { key: string; value: unknown };
  pulled: { key: string; value: { readonly etag: string; readonly at: number; readonly body: unknown } };
}

export type Database = IDBPDatabase<Schema>;

const VERSION = 1;

/**
 * Open the database. The schema only grows: an older page closes its connection when a newer one wants to upgrade.
 * `lost` is called when the browser closes it, as it does when site data are cleared.
 */
export async function openDatabase(name: string, lost: () => void = () => {}): Promise<Database> {
  const db = await openDB<Schema>(name, VERSION, {
    upgrade(upgrading, from) {
      if (from < 1) {
        const journal = upgrading.createObjectStore("journal", { keyPath: ["session", "seq"] });
        journal.createIndex("waiting", "waiting", { unique: true });
        journal.createIndex("place", "place", { unique: true });
        upgrading.createObjectStore("head");
        upgrading.createObjectStore("cart");
        upgrading.createObjectStore("outcome", { keyPath: ["session", "seq"] });
        upgrading.createObjectStore("meta");
        upgrading.createObjectStore("pulled");
      }
    },
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
    terminated: lost,
  });
  return db;
}
