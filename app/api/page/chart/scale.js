/** From values to places, and where the lines of the grid go. */

/** @returns {(value: number) => number} */
export function linear([from, to], [start, end]) {
  const by = to > from ? (end - start) / (to - from) : 0;
  return (value) => start + (value - from) * by;
}

/** About `wanted` round numbers within [from, to]. */
export function ticks([from, to], wanted) {
  const raw = (to - from) / Math.max(1, wanted);
  if (!(raw > 0)) return [from];
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((by) => by * unit >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

const MINUTE = 60_000;
const STEPS = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14_400].map((minutes) => minutes * MINUTE);

/** Round local times within [from, to], at most `wanted`. */
export function timeTicks([from, to], wanted) {
  const step = STEPS.find((size) => (to - from) / size <= wanted) ?? STEPS.at(-1);
  const shift = -new Date(from).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let at = Math.ceil((from + shift) / step) * step - shift; at <= to; at += step) found.push(at);
  return found;
}

/** [low, high] of the values with some room; from zero unless `free`. */
export function extent(values, { free = false, least = -Infinity, most = Infinity } = {}) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  let [low, high] = [Math.min(...known), Math.max(...known)];
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  return [free ? Math.max(least, low - room) : Math.min(0, low), Math.min(most, high + room)];
}
