import fc from "fast-check";
import { expect, test } from "vitest";
import vectors from "../../../contracts/vectors/uploads.json";
import { canonical, digestOf, type Json, NotCanonical } from "../src/journal/canonical";
import { linkOf } from "../src/journal/chain";

test.each(vectors.canonical)("$text has the bytes and the hash that the server has", async ({ value, text, hash }) => {
  expect(canonical(value as unknown as Json)).toBe(text);
  expect(await digestOf(text)).toBe(hash);
});

// JavaScript has one kind of number: 1.0 and 1e3 are integers after parsing, so a client can't send them as fractions.
const refused = vectors.not_canonical.filter(({ json }) => !/1\.0|1e3/.test(json));

test.each(refused)("$json is refused at $place", ({ json, place }) => {
  expect(() => canonical(JSON.parse(json))).toThrow(NotCanonical);
  try {
    canonical(JSON.parse(json));
  } catch (error) {
    expect((error as NotCanonical).place).toBe(place);
  }
});

test.each(vectors.chains)("the links of $owner are those of the server", async ({ owner, uploads, thumbprint }) => {
  let previous = thumbprint;
  for (const { row, prev_hash, link } of uploads) {
    expect(previous).toBe(prev_hash);
    const { device, ...upload } = row as { device: string } & Parameters<typeof linkOf>[1];
    previous = await linkOf({ owner, device }, upload, previous);
    expect(previous).toBe(link);
  }
});

test.each(vectors.chains)(
  "the signature of $owner verifies over its last link",
  async ({ key, uploads, signature }) => {
    const imported = await crypto.subtle.importKey("jwk", key, { name: "ECDSA", namedCurve: "P-256" }, false, [
      "verify",
    ]);
    const raw = Uint8Array.from(atob(signature.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    const link = new TextEncoder().encode(uploads.at(-1)?.link);
    expect(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, raw, link)).toBe(true);
  },
);

const values: fc.Arbitrary<Json> = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger().map((n) => n + 0),
    fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", "").normalize("NFC")),
    fc.array(tie("json"), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-zA-Z0-9_]{0,8}$/), tie("json"), { maxKeys: 4 }),
  ),
})).json;

test("the canonical form reads as the same value, and does not depend on the order of keys", () => {
  fc.assert(
    fc.property(values, (value) => {
      const text = canonical(value);
      expect(JSON.parse(text)).toEqual(value);
      expect(canonical(reversed(value))).toBe(text);
    }),
  );
});

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, one]) => [name, reversed(one as Json)]),
  );
}
