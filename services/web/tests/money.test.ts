import fc from "fast-check";
import { expect, test } from "vitest";
import { amountFen, gramsOfJin, likelyCash, roundedDown, spoken, yuan } from "../src/stall/money";

const fen = fc.integer({ min: 0, max: 1_000_000 });
const grams = fc.integer({ min: 0, max: 100_000 });

test("a weighed amount is rounded once, halves up, as exact arithmetic says", () => {
  fc.assert(
    fc.property(fen, grams, (price, weight) => {
      const exact = (2n * BigInt(price) * BigInt(weight) + 500n) / 1000n;
      expect(amountFen(price, weight, "gram")).toBe(Number(exact));
    }),
  );
  expect(amountFen(999, 750, "gram")).toBe(1499);
  expect(amountFen(600, 3, "piece")).toBe(1800);
});

test.each([
  [1250, "12.50"],
  [5, "0.05"],
  [0, "0.00"],
  [-5, "-0.05"],
  [100_000, "1000.00"],
])("%d fen are %s yuan", (given, text) => expect(yuan(given)).toBe(text));

test("rounding down takes less than a jiao or a yuan off, and never more than there is", () => {
  fc.assert(
    fc.property(fen, fc.constantFrom<10 | 100>(10, 100), (sum, to) => {
      const taken = roundedDown(sum, to);
      expect(taken % to).toBe(0);
      expect(sum - taken).toBeLessThan(to);
      expect(taken).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("a weight is told in jin, liang and grams without a loss", () => {
  fc.assert(
    fc.property(grams, (weight) => {
      const { jin, liang, rest } = spoken(weight);
      expect(jin * 500 + liang * 50 + rest).toBe(weight);
      expect(liang).toBeLessThan(10);
      expect(rest).toBeLessThan(50);
    }),
  );
  expect(spoken(1150)).toEqual({ jin: 2, liang: 3, rest: 0 });
});

test.each([
  ["2.3", 1150],
  ["0.5", 250],
  ["3", 1500],
  ["1.001", 501],
  ["200", 100_000],
  ["200.001", null],
  ["0", null],
  ["", null],
  [".5", null],
  ["1.", null],
  ["1.2345", null],
  ["-1", null],
  ["1e2", null],
])("%j jin are %j g", (typed, expected) => expect(gramsOfJin(typed)).toBe(expected));

test("the sums that a buyer may give cover the amount, smallest first", () => {
  expect(likelyCash(3150)).toEqual([4000, 5000, 10_000]);
  expect(likelyCash(800)).toEqual([1000, 2000, 5000, 10_000]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (sum) => {
      const found = likelyCash(sum);
      expect(found.length).toBeGreaterThan(0);
      for (const given of found) expect(given).toBeGreaterThanOrEqual(sum);
      expect([...found]).toEqual([...new Set(found)].sort((a, b) => a - b));
    }),
  );
});
