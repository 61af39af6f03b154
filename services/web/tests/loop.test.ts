import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Contact, Loop } from "../src/journal/loop";

let attempts: number[];
let contacts: Contact[];
let flush: () => Promise<void>;
let loop: Loop;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  attempts = [];
  contacts = [];
  flush = async () => {};
  loop = new Loop({
    flush: () => {
      attempts.push(Date.now());
      return flush();
    },
    onContact: (contact) => contacts.push(contact),
    now: Date.now,
    random: () => 0.5,
  });
});

afterEach(() => vi.useRealTimers());

const refuse = async () => {
  throw new TypeError("network");
};

test("it asks at once, then every 15 s", async () => {
  loop.start();
  await vi.advanceTimersByTimeAsync(46_000);
  expect(attempts).toEqual([0, 15_000, 30_000, 45_000]);
});

test("a write is sent within a third of a second, and several writes by one attempt", async () => {
  loop.start();
  await vi.advanceTimersByTimeAsync(5000);
  loop.wrote();
  await vi.advanceTimersByTimeAsync(100);
  loop.wrote();
  await vi.advanceTimersByTimeAsync(2000);
  expect(attempts).toEqual([0, 5300]);
});

test("without a network it asks ever less often, up to once a minute, and at once when it is woken", async () => {
  flush = refuse;
  loop.start();
  await vi.advanceTimersByTimeAsync(183_000);
  expect(attempts.map((at) => at / 1000)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183]);
  loop.wake();
  await vi.advanceTimersByTimeAsync(1000);
  expect(attempts.slice(9).map((at) => at / 1000)).toEqual([183, 184]);
});

test("it says since when there was no answer, and the last answer stays known", async () => {
  loop.start();
  await vi.advanceTimersByTimeAsync(14_000);
  flush = refuse;
  await vi.advanceTimersByTimeAsync(5000);
  expect(contacts.at(-1)).toEqual({ last: 0, lostSince: 15_000, reason: "network" });
  flush = async () => {};
  await vi.advanceTimersByTimeAsync(10_000);
  expect(contacts.at(-1)).toEqual({ last: 22_000 });
});

test("attempts do not overlap: what was written during one is sent by the next, at once", async () => {
  let answer: () => void = () => {};
  flush = () => new Promise((resolve) => (answer = resolve));
  loop.start();
  await vi.advanceTimersByTimeAsync(1000);
  loop.wrote();
  await vi.advanceTimersByTimeAsync(2000);
  expect(attempts).toEqual([0]);
  answer();
  await vi.advanceTimersByTimeAsync(1);
  expect(attempts).toHaveLength(2);
});

test("after a stop nothing is sent", async () => {
  loop.start();
  await vi.advanceTimersByTimeAsync(1);
  loop.stop();
  loop.wrote();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(attempts).toEqual([0]);
});
