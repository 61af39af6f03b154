/** A device's way into the market: enrolment with the desk's code, access tokens, and a proof with each request. */

import { digestOf } from "../journal/canonical";
import { randomId } from "../journal/random";
import type { Clock } from "./clock";
import type { DeviceKey } from "./key";

const HAND_IN = "record:hand-in";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_S = 50;
const RENEWED_MS = 60_000;

/** The device that a code enrolled: a terminal or a courier. */
export interface Enrolled {
  readonly subject: string;
  readonly kind: string;
  readonly id: string;
}

/** An answer that is no success: its status, and its problem document (RFC 9457) where it has one. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: { readonly type?: string; readonly title?: string; readonly detail?: string },
  ) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
  }
}

type Fetch = (input: string, init: RequestInit) => Promise<Response>;

/** Return the body of an answer. Throws `Refused`. */
export async function bodyOf<T>(answer: Response): Promise<T> {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body);
  return body as T;
}

/** Enrol a key with a code of the desk, as it is typed: in groups, small letters, with the letters O, I and L for digits. */
export async function enrol(origin: string, key: DeviceKey, typed: string, fetch: Fetch): Promise<Enrolled> {
  const code = typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  const proof = await key.sign(`halfday:enrol:${code}:${key.thumbprint}`);
  return bodyOf(await post(fetch, `${origin}/api/access/v1/devices`, { code, key: key.jwk, proof }));
}

/** The access tokens of a device, and requests with them. */
export class Credential {
  /** The key has ended: another device replaced this one, or it was revoked. Its records may still be handed in. */
  ended = false;
  private token = "";
  private renew = Number.NEGATIVE_INFINITY;
  private renewing: Promise<void> | undefined;

  constructor(
    private readonly origin: string,
    private readonly subject: string,
    private readonly key: DeviceKey,
    private readonly clock: Clock,
    private readonly fetch: Fetch,
  ) {}

  /**
   * Send a request with a token and a proof for it (RFC 9449). After a 401 the token is renewed once, as after a
   * restored backup of access. `path` begins with `/api/`. Rejects without a network.
   */
  async send(path: string, init: RequestInit = {}): Promise<Response> {
    if (this.clock.monotonic() >= this.renew) await this.renewed();
    const answer = await this.proven(path, init);
    if (answer.status !== 401) return answer;
    await this.renewed();
    return this.proven(path, init);
  }

  private async proven(path: string, init: RequestInit): Promise<Response> {
    const url = new URL(path, this.origin);
    const proof = await this.key.jwt(
      { typ: "dpop+jwt", jwk: this.key.jwk },
      {
        jti: randomId(),
        htm: init.method ?? "GET",
        htu: url.origin + url.pathname,
        iat: this.seconds(),
        ath: await digestOf(this.token),
      },
    );
    const headers = new Headers(init.headers);
    headers.set("Authorization", `DPoP ${this.token}`);
    headers.set("DPoP", proof);
    const sent = this.clock.monotonic();
    const answer = await this.fetch(url.href, { ...init, headers });
    this.observe(answer, sent);
    return answer;
  }

  /** Renew the token; callers at the same time share one request. Throws `Refused` when the device has no right any more. */
  private renewed(): Promise<void> {
    this.renewing ??= this.fetchToken().finally(() => {
      this.renewing = undefined;
    });
    return this.renewing;
  }

  private async fetchToken(): Promise<void> {
    const sent = this.clock.monotonic();
    let answer = await this.assert();
    this.observe(answer, sent);
    // The first answer shows the server's time; with a clock that is wrong, the first assertion was out of date.
    if (answer.status === 401) answer = await this.assert();
    const ended = answer.status === 401;
    if (ended) answer = await this.assert(HAND_IN);
    const body = await bodyOf<{ access_token: string; expires_in: number }>(answer);
    this.ended = ended;
    this.token = body.access_token;
    this.renew = sent + body.expires_in * 1000 - RENEWED_MS;
  }

  private async assert(scope?: string): Promise<Response> {
    const assertion = await this.key.jwt(
      { kid: this.key.thumbprint },
      {
        iss: this.subject,
        sub: this.subject,
        aud: "halfday",
        jti: randomId(),
        exp: this.seconds() + ASSERTION_S,
      },
    );
    return post(this.fetch, `${this.origin}/api/access/v1/token`, {
      grant_type: GRANT,
      assertion,
      ...(scope && { scope }),
    });
  }

  private seconds(): number {
    return Math.floor(this.clock.server() / 1000);
  }

  private observe(answer: Response, sent: number): void {
    const date = Date.parse(answer.headers.get("Date") ?? "");
    this.clock.observe(date + 500, sent); // the header has whole seconds, rounded down
  }
}

function post(fetch: Fetch, url: string, body: object): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
