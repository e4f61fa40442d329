// Loaded into a server before its program: a node whose clock is off by CHAOS_CLOCK_MS milliseconds.
const offMs = Number(process.env['CHAOS_CLOCK_MS'] ?? 0);
const RealDate = Date;

class SkewedDate extends RealDate {
  constructor(...values: [] | [number | string | Date]) {
    // With a value it is that moment, without one it is now.
    super(values.length === 0 ? RealDate.now() + offMs : values[0]);
  }

  static override now(): number {
    return RealDate.now() + offMs;
  }
}

if (offMs !== 0) globalThis.Date = SkewedDate as DateConstructor;
