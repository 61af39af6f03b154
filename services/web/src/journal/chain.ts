/** The hash chain of a device's uploads: each link covers an upload and all before it, across sessions. */

import { canonical, digestOf, type Json } from "./canonical";

const VERSION = 1;

/** An upload as it is sent, without its device, which the request names once. `recorded_at` is the device's own time. */
export interface Upload {
  readonly session: string;
  readonly seq: number;
  readonly recorded_at: string;
  readonly kind: string;
  readonly body: { readonly [name: string]: Json };
}

/** A device of an owner: `terminal/ID` or `courier/ID`. */
export interface Sender {
  readonly owner: string;
  readonly device: string;
}

/**
 * Return the link of an upload. `previous` is the link before it; for the first upload of a device, the thumbprint of
 * its key (RFC 7638).
 */
export async function linkOf(sender: Sender, upload: Upload, previous: string): Promise<string> {
  const slash = sender.owner.indexOf("/");
  const { session, seq, recorded_at, kind, body } = upload;
  return digestOf(
    canonical({
      v: VERSION,
      [sender.owner.slice(0, slash)]: sender.owner.slice(slash + 1),
      device: sender.device,
      session,
      seq,
      recorded_at,
      kind,
      body_hash: await digestOf(canonical(body)),
      prev_hash: previous,
    }),
  );
}
