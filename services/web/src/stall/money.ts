/** Amounts and weights of a stall: integers of fen and grams. The rules are those of the services. */

/** Grams of a jin (斤), for which weighed goods have their price, and of a liang (两), its tenth. */
export const JIN_G = 500;
const LIANG_G = 50;

export type Unit = "piece" | "gram";

/** Return the amount of a line in fen: pieces at the price of a piece, grams at the price of a jin, halves rounded up. */
export function amountFen(priceFen: number, quantity: number, unit: Unit): number {
  return unit === "gram" ? roundHalfUp(priceFen * quantity, JIN_G) : priceFen * quantity;
}

/** Return the amount that is taken when the seller rounds down (抹零) to whole jiao (10 fen) or yuan (100 fen). */
export function roundedDown(fen: number, to: 10 | 100): number {
  return fen - (fen % to);
}

/** Return fen as yuan: `12.50`, or `-0.05`. */
export function yuan(fen: number): string {
  const whole = Math.trunc(Math.abs(fen) / 100);
  return `${fen < 0 ? "-" : ""}${whole}.${String(Math.abs(fen) % 100).padStart(2, "0")}`;
}

/**
 * Return the sums that a buyer is likely to give in cash for an amount: the least of 10, 20, 50 and 100 yuan notes that
 * covers it, smallest first.
 */
export function likelyCash(fen: number): readonly number[] {
  const notes = [1000, 2000, 5000, 10_000];
  const sums = notes.map((note) => note * Math.ceil(fen / note)).filter((sum) => sum > 0);
  return [...new Set(sums)].sort((a, b) => a - b).slice(0, 4);
}

/** A weight as people at a market say it. */
export interface Spoken {
  readonly jin: number;
  readonly liang: number;
  /** Grams beyond whole liang. */
  readonly rest: number;
}

/** Return a weight in jin and liang. */
export function spoken(grams: number): Spoken {
  const jin = Math.trunc(grams / JIN_G);
  const left = grams - jin * JIN_G;
  const liang = Math.trunc(left / LIANG_G);
  return { jin, liang, rest: left - liang * LIANG_G };
}

/**
 * Return the grams of a weight that was typed in jin, with up to three decimals: `2.3` is 2 jin 3 liang, 1150 g. Null
 * for anything else, for nothing, and for a weight beyond what a person lifts.
 */
export function gramsOfJin(typed: string): number | null {
  const found = /^(\d{1,3})(?:\.(\d{1,3}))?$/.exec(typed);
  if (!found) return null;
  const thousandths = Number(found[1]) * 1000 + Number((found[2] ?? "").padEnd(3, "0"));
  const grams = roundHalfUp(thousandths, 2);
  return grams > 0 && grams <= MOST_G ? grams : null;
}

const MOST_G = 200 * JIN_G;

function roundHalfUp(numerator: number, denominator: number): number {
  return Math.floor((2 * numerator + denominator) / (2 * denominator));
}
