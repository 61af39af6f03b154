import "fake-indexeddb/auto";
import { beforeEach, expect, test } from "vitest";
import { Clock } from "../src/device/clock";
import { Credential, enrol, Refused } from "../src/device/credential";
import { DeviceKey, KeyNotKept, type PublicKey } from "../src/device/key";
import { digestOf } from "../src/journal/canonical";
import { type Database, openDatabase } from "../src/journal/database";

const ORIGIN = "https://market.lan";
const DAY_MS = 86_400_000;
let db: Database;
let key: DeviceKey;

beforeEach(async () => {
  db = await openDatabase(`device-${Math.random()}`);
  key = await DeviceKey.make(db);
});

async function verified(jwk: PublicKey, text: string, signature: string): Promise<boolean> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const imported = await crypto.subtle.importKey("jwk", { ...jwk }, algorithm, false, ["verify"]);
  const content = new TextEncoder().encode(text);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, bytesOf(signature), content);
}

const bytesOf = (text: string) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));

async function claimsOf(jwt: string): Promise<{ header: Record<string, unknown>; claims: Record<string, unknown> }> {
  const [header = "", claims = "", signature = ""] = jwt.split(".");
  expect(await verified(key.jwk, `${header}.${claims}`, signature)).toBe(true);
  const read = (part: string) => JSON.parse(new TextDecoder().decode(bytesOf(part)));
  return { header: read(header), claims: read(claims) };
}

/** A server whose clock is `ahead` of the device's, and which accepts tokens that are not `ended`. */
class Server {
  readonly ended = new Set<string>();
  readonly seen = new Set<string>();
  tokens = 0;
  ahead = 0;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const now = Date.now() + this.ahead;
    const answer = (status: number, body: object) =>
      Response.json(body, { status, headers: { Date: new Date(now).toUTCString() } });
    if (url.endsWith("/v1/token")) {
      const { claims } = await claimsOf(JSON.parse(String(init.body)).assertion);
      if (Math.abs(Number(claims.exp) * 1000 - now) > 60_000) return answer(401, { detail: "refused" });
      this.tokens += 1;
      return answer(200, { access_token: `token-${this.tokens}`, expires_in: 600 });
    }
    const headers = new Headers(init.headers);
    const token = headers.get("Authorization")?.replace("DPoP ", "") ?? "";
    const { header, claims } = await claimsOf(headers.get("DPoP") ?? "");
    expect(header).toMatchObject({ typ: "dpop+jwt", jwk: key.jwk });
    expect(claims).toMatchObject({ htm: init.method ?? "GET", htu: url.split("?")[0], ath: await digestOf(token) });
    expect(this.seen.has(String(claims.jti))).toBe(false);
    this.seen.add(String(claims.jti));
    const fresh = Math.abs(Number(claims.iat) * 1000 - now) < 60_000;
    return fresh && !this.ended.has(token) ? answer(200, { token }) : answer(401, { detail: "refused" });
  };
}

const credentialAt = (server: Server, clock = new Clock()) =>
  new Credential(ORIGIN, "terminal.stall-1", key, clock, server.fetch);

test("a key is kept, signs, and is never readable", async () => {
  const again = await DeviceKey.load(db);
  expect(again?.thumbprint).toBe(key.thumbprint);
  expect(await verified(key.jwk, "x", (await again?.sign("x")) ?? "")).toBe(true);
  const pair = (await db.get("meta", "key")) as CryptoKeyPair;
  await expect(crypto.subtle.exportKey("jwk", pair.privateKey)).rejects.toThrow();
});

test("a browser that does not keep keys is noticed before the enrolment", async () => {
  const forgetful = { put: () => Promise.resolve("key"), get: () => Promise.resolve(undefined) } as unknown as Database;
  await expect(DeviceKey.make(forgetful)).rejects.toThrow(KeyNotKept);
});

test("a code enrols as people type it", async () => {
  const sent: string[] = [];
  const fetch = async (url: string, init: RequestInit) => {
    sent.push(url);
    const body = JSON.parse(String(init.body));
    expect(body.code).toBe("ABCD1023");
    expect(await verified(body.key, `halfday:enrol:ABCD1023:${key.thumbprint}`, body.proof)).toBe(true);
    return Response.json({ subject: "terminal.stall-1", kind: "terminal", id: "stall-1" });
  };
  expect((await enrol(ORIGIN, key, " abcd-lO23 ", fetch)).id).toBe("stall-1");
  expect(sent).toEqual([`${ORIGIN}/api/access/v1/devices`]);
});

test("every request has a proof of its own, and requests at the same time share a token", async () => {
  const server = new Server();
  const credential = credentialAt(server);
  const answers = await Promise.all([1, 2, 3].map((n) => credential.send(`/api/orders/v1/terminals/a?n=${n}`)));
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
  expect(server.tokens).toBe(1);
  expect(server.seen.size).toBe(3);
});

test.each([2 * DAY_MS, -2 * DAY_MS])("a device whose clock is wrong by %d ms gets its token", async (ahead) => {
  const server = new Server();
  server.ahead = ahead;
  const clock = new Clock();
  const answer = await credentialAt(server, clock).send("/api/orders/v1/x", { method: "POST", body: "{}" });
  expect(answer.status).toBe(200);
  expect(Math.abs(clock.offset - ahead)).toBeLessThan(3000);
});

test("a token that is no longer accepted is renewed once; a revoked device is told", async () => {
  const server = new Server();
  const credential = credentialAt(server);
  await credential.send("/api/orders/v1/x");
  server.ended.add("token-1");
  expect(await (await credential.send("/api/orders/v1/x")).json()).toEqual({ token: "token-2" });
  const revoked = new Credential(ORIGIN, "terminal.stall-1", key, new Clock(), async () =>
    Response.json({ title: "Refused" }, { status: 401 }),
  );
  await expect(revoked.send("/api/orders/v1/x")).rejects.toThrow(Refused);
});

test("a device whose key has ended may only hand in its records, and works again after a new enrolment", async () => {
  const server = new Server();
  const { fetch } = server;
  let ended = true;
  const asked: unknown[] = [];
  const strict = async (url: string, init: RequestInit) => {
    if (!url.endsWith("/v1/token")) return fetch(url, init);
    const { scope } = JSON.parse(String(init.body));
    asked.push(scope);
    return ended && scope !== "record:hand-in" ? Response.json({}, { status: 401 }) : fetch(url, init);
  };
  const credential = new Credential(ORIGIN, "terminal.stall-1", key, new Clock(), strict);
  expect((await credential.send("/api/orders/v1/x")).status).toBe(200);
  expect(credential.ended).toBe(true);
  expect(asked).toEqual([undefined, undefined, "record:hand-in"]);
  ended = false;
  server.ended.add("token-1");
  await credential.send("/api/orders/v1/x");
  expect(credential.ended).toBe(false);
});

test("the server's time is the median of five quick answers, and a jump of the device's clock begins anew", () => {
  let wall = 1_000_000;
  let steady = 0;
  const clock = new Clock(
    () => wall,
    () => steady,
  );
  const after = (roundTrip: number, ahead: number) => {
    const sent = clock.monotonic();
    steady += roundTrip;
    wall += roundTrip;
    clock.observe(wall - roundTrip / 2 + ahead, sent);
  };
  expect(clock.server()).toBe(wall);
  for (const [roundTrip, ahead] of [
    [100, 700],
    [100, 700],
    [2500, 90_000],
    [300, 800],
    [100, 650],
  ] as const) {
    after(roundTrip, ahead);
  }
  expect(clock.offset).toBe(700);
  steady += 60_000;
  wall += 63_000;
  expect(clock.jump()).toBe(0);
  wall -= DAY_MS;
  expect(clock.jump()).toBe(-DAY_MS);
  expect(clock.offset).toBe(0);
});
