/** Two honest times: the device's own, and the server's as far as answers have shown it. */

const ROUND_TRIP_MS = 2000;
const SAMPLES = 5;
const JUMP_MS = 5000;

/** The device's clock, and how far the server's is ahead of it. All times are milliseconds; instants count from 1970. */
export class Clock {
  private readonly offsets: number[] = [];
  private anchor: { readonly wall: number; readonly steady: number };

  /** `wall` can be set by the user; `steady` only goes forward, from any beginning. */
  constructor(
    private readonly wall: () => number = Date.now,
    private readonly steady: () => number = () => performance.now(),
  ) {
    this.anchor = { wall: wall(), steady: steady() };
  }

  /** Return the device's time. */
  now(): number {
    return this.wall();
  }

  /** Return a time that only goes forward, for durations. */
  monotonic(): number {
    return this.steady();
  }

  /** Return the server's time as far as it is known, else the device's. */
  server(): number {
    return this.wall() + this.offset;
  }

  /** How far the server's clock is ahead: the median of the last answers, 0 before the first one. */
  get offset(): number {
    const sorted = [...this.offsets].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }

  /**
   * Take the server's time from an answer; `sent` is what `monotonic` returned before the request. A slow answer says
   * too little and is passed over.
   */
  observe(server: number, sent: number): void {
    const roundTrip = this.steady() - sent;
    if (!Number.isFinite(server) || roundTrip < 0 || roundTrip >= ROUND_TRIP_MS) return;
    this.offsets.push(server - this.wall() + roundTrip / 2);
    if (this.offsets.length > SAMPLES) this.offsets.shift();
  }

  /**
   * Return by how much the device's clock was set since the last call, 0 for less than 5 s. Answers from before such a
   * jump say nothing about the time after it.
   */
  jump(): number {
    const wall = this.wall();
    const steady = this.steady();
    const jumped = wall - this.anchor.wall - (steady - this.anchor.steady);
    this.anchor = { wall, steady };
    if (Math.abs(jumped) < JUMP_MS) return 0;
    this.offsets.length = 0;
    return jumped;
  }
}
