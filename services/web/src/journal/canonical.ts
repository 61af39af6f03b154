/**
 * Canonical form of uploads: the bytes that are hashed, the same in every language.
 *
 * RFC 8785, restricted so that no library is needed: objects with ASCII keys, arrays, strings in NFC without NUL and
 * without halves of surrogate pairs, integers below 2^53 in size, booleans and null. `contracts/vectors/uploads.json`
 * has values with their bytes and hashes; the server's side is `contracts/uploads.py`.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

const DEPTH = 20;

/** A value outside the canonical form. `place` is the JSON pointer to it (RFC 6901). */
export class NotCanonical extends Error {
  constructor(
    readonly place: string,
    readonly reason: string,
  ) {
    super(`${place || "(the whole)"} ${reason}`);
  }
}

/** Return the JSON text to hash: sorted keys, no spaces. Throws `NotCanonical` at the first place that has no such form. */
export function canonical(value: Json): string {
  return write(value, "", DEPTH);
}

function write(value: Json, place: string, depth: number): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new NotCanonical(place, "must be an integer below 2^53 in size");
    return JSON.stringify(value);
  }
  if (typeof value === "string") return text(value, place);
  if (typeof value !== "object") throw new NotCanonical(place, "must be a JSON value");
  if (depth === 0) throw new NotCanonical(place, `is nested too deeply: at most ${DEPTH} levels`);
  if (Array.isArray(value)) {
    return `[${value.map((one: Json, n) => write(one, `${place}/${n}`, depth - 1)).join(",")}]`;
  }
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const members = pairs.map(([name, one]) => {
    const inner = `${place}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII begins with them
    if (!/^[\x00-\x7f]*$/.test(name)) throw new NotCanonical(inner, "must have a name of ASCII characters");
    return `${text(name, inner)}:${write(one, inner, depth - 1)}`;
  });
  return `{${members.join(",")}}`;
}

function text(value: string, place: string): string {
  if (value.includes("\0")) throw new NotCanonical(place, "must not contain a NUL character");
  if (/\p{Surrogate}/u.test(value)) throw new NotCanonical(place, "must not contain half of a surrogate pair");
  if (value.normalize("NFC") !== value) throw new NotCanonical(place, "must be in Unicode normalization form C (NFC)");
  return JSON.stringify(value);
}

/** Return SHA-256 of a text as base64url without padding: 43 characters. */
export async function digestOf(content: string): Promise<string> {
  return base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(content)));
}

/** Return bytes as base64url without padding (RFC 4648, section 5). */
export function base64url(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
