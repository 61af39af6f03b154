import { base64url } from "./canonical";

/** Return a random name of 22 characters that is never given twice. */
export function randomId(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)).buffer);
}
