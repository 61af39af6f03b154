/** The key of a device: made in the browser, and never readable, also not by this page. */

import { base64url, canonical, digestOf } from "../journal/canonical";
import type { Database } from "../journal/database";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const STORED = "key";

/** A public key as a JSON Web Key (RFC 7517). */
export interface PublicKey {
  readonly kty: "EC";
  readonly crv: "P-256";
  readonly x: string;
  readonly y: string;
}

/** The browser does not keep keys, as in a private window. */
export class KeyNotKept extends Error {}

export class DeviceKey {
  private constructor(
    private readonly pair: CryptoKeyPair,
    readonly jwk: PublicKey,
    /** SHA-256 of the public key (RFC 7638), base64url. */
    readonly thumbprint: string,
  ) {}

  /** Make and store a key. It counts once it was read back and has signed something. Throws `KeyNotKept`. */
  static async make(db: Database): Promise<DeviceKey> {
    const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
    try {
      await db.put("meta", pair, STORED);
      const kept = await DeviceKey.load(db);
      await kept?.sign("kept");
      if (kept) return kept;
    } catch (error) {
      throw new KeyNotKept("This browser does not keep keys", { cause: error });
    }
    throw new KeyNotKept("This browser does not keep keys");
  }

  /** Return the stored key, or undefined. */
  static async load(db: Database): Promise<DeviceKey | undefined> {
    const pair = (await db.get("meta", STORED)) as CryptoKeyPair | undefined;
    if (!pair) return undefined;
    const { x = "", y = "" } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    const jwk: PublicKey = { kty: "EC", crv: "P-256", x, y };
    return new DeviceKey(pair, jwk, await digestOf(canonical({ ...jwk })));
  }

  /** Return the signature of a text: ECDSA with SHA-256, r and s, base64url. */
  async sign(text: string): Promise<string> {
    return base64url(await crypto.subtle.sign(SIGNING, this.pair.privateKey, new TextEncoder().encode(text)));
  }

  /** Return a signed JWT (RFC 7515, compact); `header` is added to its algorithm. */
  async jwt(header: object, claims: object): Promise<string> {
    const encoded = [{ alg: "ES256", ...header }, claims].map((part) =>
      base64url(new TextEncoder().encode(JSON.stringify(part)).buffer),
    );
    const content = encoded.join(".");
    return `${content}.${await this.sign(content)}`;
  }
}
