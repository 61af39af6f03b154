import "fake-indexeddb/auto";
import { beforeEach, expect, test, vi } from "vitest";
import { linkOf, type Upload } from "../src/journal/chain";
import { type Database, openDatabase } from "../src/journal/database";
import { Journal } from "../src/journal/journal";
import { Outbox, type Received, Unavailable } from "../src/journal/outbox";

const SENDER = { owner: "terminal/stall-1", device: "till-1" };
const THUMBPRINT = "thumbprint";
let db: Database;
let journal: Journal;

/** A server that keeps what it receives, once, and answers as it is told to. */
class Server {
  readonly kept = new Map<string, string>();
  readonly bodies: string[] = [];
  /** Returns the answer of a server that is busy, gone or strict, before it looks at anything; "lost" after it has. */
  trouble: (body: string, uploads: readonly Upload[]) => Response | "lost" | undefined = () => undefined;

  readonly send = async (body: string): Promise<Response> => {
    this.bodies.push(body);
    const { device, uploads, prev_hash, signature } = JSON.parse(body);
    const trouble = this.trouble(body, uploads);
    if (trouble instanceof Response) return trouble;
    expect(device).toBe(SENDER.device);
    let link = prev_hash;
    for (const upload of uploads) link = await linkOf(SENDER, upload, link);
    expect(signature).toBe(uploads.length ? `signed ${link}` : undefined);
    const texts = uploads.length ? body.slice(body.indexOf("[") + 1, -2) : "";
    const answers = uploads.map((upload: Upload) => {
      const name = `${upload.session}/${upload.seq}`;
      const answer = this.kept.has(name) ? "repeated" : "applied";
      this.kept.set(name, texts);
      return { session: upload.session, seq: upload.seq, answer, reason: "" };
    });
    if (trouble === "lost") throw new TypeError("network");
    return Response.json({ uploads: answers, ...this.progress() });
  };

  progress(): Omit<Received, "uploads"> {
    const numbers = new Map<string, number[]>();
    for (const name of this.kept.keys()) {
      const [session = "", seq] = name.split("/");
      numbers.set(session, [...(numbers.get(session) ?? []), Number(seq)]);
    }
    const received_through: Record<string, number> = {};
    const gaps: Record<string, [number, number][]> = {};
    for (const [session, found] of numbers) {
      const sorted = found.sort((a, b) => a - b);
      let through = 0;
      while (sorted.includes(through + 1)) through += 1;
      received_through[session] = through;
      gaps[session] = sorted
        .map((seq, n): [number, number] => [(sorted[n - 1] ?? 0) + 1, seq - 1])
        .filter(([from, to]) => from <= to);
    }
    return { received_through, gaps };
  }
}

const outboxTo = (server: Server) =>
  new Outbox(
    db,
    SENDER,
    async (text) => `signed ${text}`,
    server.send,
    () => 0,
  );
const unsent = async () => (await db.getAllFromIndex("journal", "waiting")).map((row) => row.place);

async function sell(count: number, day = "sat"): Promise<void> {
  await journal.record({ kind: "open", body: { market_day: day } });
  for (let n = 0; n < count; n += 1) await journal.record({ kind: "sale", body: { sale: `${day}-${n}` } });
  await journal.record({ kind: "close", body: {} });
}

beforeEach(async () => {
  db = await openDatabase(`outbox-${Math.random()}`);
  await Journal.begin(db, THUMBPRINT);
  let sessions = 0;
  journal = new Journal(db, SENDER, { now: () => 0 }, () => `session-${++sessions}`);
});

test("a long queue goes out in requests of a hundred rows, each once, and the last answer is returned", async () => {
  await sell(248);
  const server = new Server();
  const answer = await outboxTo(server).flush("sat");
  expect(server.bodies.map((body) => JSON.parse(body).uploads.length)).toEqual([100, 100, 50]);
  expect(answer.received_through).toEqual({ "session-1": 250 });
  expect(server.kept.size).toBe(250);
  expect(await unsent()).toEqual([]);
});

test("without rows it asks what is new, and signs nothing", async () => {
  const server = new Server();
  await outboxTo(server).flush("sat");
  expect(server.bodies).toEqual(['{"device":"till-1","market_day":"sat","uploads":[]}']);
});

test("rows of two days go in two requests, each under its day", async () => {
  await sell(1, "sat");
  await sell(1, "sun");
  const server = new Server();
  await outboxTo(server).flush("sun");
  expect(server.bodies.map((body) => JSON.parse(body).market_day)).toEqual(["sat", "sun"]);
  expect(await unsent()).toEqual([]);
});

test("an answer that was lost after the commit is asked for again with the same bytes", async () => {
  await sell(3);
  const server = new Server();
  server.trouble = () => "lost";
  await expect(outboxTo(server).flush("sat")).rejects.toThrow("network");
  expect(await unsent()).toHaveLength(5);
  server.trouble = () => undefined;
  const answer = await outboxTo(server).flush("sat");
  expect(answer.uploads.map((one) => one.answer)).toEqual(Array(5).fill("repeated"));
  expect(server.bodies[1]).toBe(server.bodies[0]);
  expect(await unsent()).toEqual([]);
});

test("a success that says nothing of a row does not count as its receipt", async () => {
  await sell(2);
  const server = new Server();
  server.trouble = () => Response.json({ uploads: [], received_through: { "session-1": 2 }, gaps: {} });
  await outboxTo(server).flush("sat");
  expect(await unsent()).toEqual([3, 4]);
});

test.each([503, 500, 429])("after a %d everything waits", async (status) => {
  await sell(2);
  const server = new Server();
  server.trouble = () => Response.json({}, { status });
  await expect(outboxTo(server).flush("sat")).rejects.toThrow(Unavailable);
  expect(await unsent()).toHaveLength(4);
});

test("one row that the server can't read is found by halving and set aside; all others arrive", async () => {
  await sell(30);
  const server = new Server();
  server.trouble = (body) =>
    body.includes('"sat-17"') ? Response.json({ detail: "/uploads/3/body is wrong" }, { status: 422 }) : undefined;
  const answer = await outboxTo(server).flush("sat");
  expect(server.kept.size).toBe(31);
  expect(answer.gaps).toEqual({ "session-1": [[19, 19]] });
  expect(await unsent()).toEqual([]);
  expect(await db.getAll("outcome")).toEqual([
    { session: "session-1", seq: 19, answer: "set-aside", reason: "/uploads/3/body is wrong", at: 0 },
  ]);
  expect(server.bodies.length).toBeLessThan(14);
  await journal.record({ kind: "open", body: { market_day: "sat" } });
  await outboxTo(server).flush("sat");
  expect(await unsent()).toEqual([]);
});

test("a request that is too large is halved", async () => {
  await sell(30);
  const server = new Server();
  server.trouble = (_, uploads) => (uploads.length > 10 ? new Response("", { status: 413 }) : undefined);
  await outboxTo(server).flush("sat");
  expect(server.kept.size).toBe(32);
  expect(await unsent()).toEqual([]);
});

test("what the server keeps without applying it is shown with its reason", async () => {
  await sell(1);
  const server = new Server();
  server.trouble = (_, uploads) =>
    Response.json({
      uploads: uploads.map(({ session, seq }, n) => ({
        session,
        seq,
        answer: ["applied", "conflict", "quarantined"][n],
        reason: "why",
      })),
      received_through: { "session-1": 2 },
      gaps: {},
    });
  await outboxTo(server).flush("sat");
  expect((await db.getAll("outcome")).map(({ seq, answer }) => [seq, answer])).toEqual([
    [2, "conflict"],
    [3, "quarantined"],
  ]);
  expect(await unsent(), "a row without a number is still the device's").toEqual([3]);
});

test("a request that is not answered ends; the more it carries, the longer it may take", async () => {
  const waits: number[] = [];
  const timeout = vi.spyOn(globalThis, "setTimeout").mockImplementation((expire, wait) => {
    waits.push(wait ?? 0);
    (expire as () => void)();
    return 0 as unknown as ReturnType<typeof setTimeout>;
  });
  const silent = async (_: string, signal: AbortSignal): Promise<Response> => {
    signal.throwIfAborted();
    return Response.json({});
  };
  await expect(
    new Outbox(
      db,
      SENDER,
      async () => "s",
      silent,
      () => 0,
    ).flush("sat"),
  ).rejects.toThrow("aborted");
  timeout.mockRestore();
  expect(waits).toEqual([10_000 + '{"device":"till-1","market_day":"sat","uploads":[]}'.length / 4]);
});
