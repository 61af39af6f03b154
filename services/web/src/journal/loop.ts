/** Decides when the outbox is flushed: soon after a write, often while there is a network, ever less without one. */

/** What the screen says about the connection: the last answer, and since when there has been none. */
export interface Contact {
  /** Milliseconds since 1970 of the last answer; undefined before the first. */
  readonly last?: number;
  /** The first failure since then, by the device's clock; undefined while the last attempt succeeded. */
  readonly lostSince?: number;
  readonly reason?: string;
}

export interface LoopOptions {
  /** Flush once; rejects if there was no answer. */
  readonly flush: () => Promise<void>;
  readonly onContact: (contact: Contact) => void;
  readonly now: () => number;
  /** A number from 0 up to 1, so that the devices of a market do not ask at the same moment. */
  readonly random?: () => number;
}

const AFTER_WRITE_MS = 300;
const EVERY_MS = 15_000;
const FIRST_RETRY_MS = 1000;
const LONGEST_MS = 60_000;

/**
 * One loop of one window. Attempts do not overlap: a wake while one runs makes another follow it. The truth about the
 * network is the last answer, not what the browser believes.
 */
export class Loop {
  private contact: Contact = {};
  private timer: ReturnType<typeof setTimeout> | undefined;
  private due = Number.POSITIVE_INFINITY;
  private retry = FIRST_RETRY_MS;
  private running = false;
  private stopped = true;

  constructor(private readonly options: LoopOptions) {}

  /** Begin with an attempt at once. */
  start(): void {
    this.stopped = false;
    this.schedule(0);
  }

  /** End; an attempt that runs is not followed by another one. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.due = Number.POSITIVE_INFINITY;
  }

  /** Something was recorded. */
  wrote(): void {
    this.schedule(AFTER_WRITE_MS);
  }

  /** The user asks, the page is seen again, or the browser believes in a network again: try at once. */
  wake(): void {
    this.retry = FIRST_RETRY_MS;
    this.schedule(0);
  }

  private schedule(delay: number): void {
    const due = this.options.now() + delay;
    if (this.stopped || due >= this.due) return;
    this.due = due;
    clearTimeout(this.timer);
    if (!this.running) this.timer = setTimeout(() => void this.attempt(), delay);
  }

  private async attempt(): Promise<void> {
    this.running = true;
    this.due = Number.POSITIVE_INFINITY;
    const next = await this.once();
    this.running = false;
    const asked = this.due - this.options.now(); // by a wake meanwhile
    this.due = Number.POSITIVE_INFINITY;
    this.schedule(Math.max(0, Math.min(next, asked)));
  }

  /** Try once; return the milliseconds until the next attempt. */
  private async once(): Promise<number> {
    const jitter = 0.8 + 0.4 * (this.options.random ?? Math.random)();
    try {
      await this.options.flush();
      this.say({ last: this.options.now() });
      this.retry = FIRST_RETRY_MS;
      return EVERY_MS * jitter;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.say({ ...this.contact, lostSince: this.contact.lostSince ?? this.options.now(), reason });
      const wait = this.retry;
      this.retry = Math.min(LONGEST_MS, this.retry * 2);
      return wait * jitter;
    }
  }

  private say(contact: Contact): void {
    this.contact = contact;
    this.options.onContact(contact);
  }
}
