// What a transformer will likely carry in the hour after a moment, by what was known then.
import { carAt, isQuiet, loadAt, store, tickValue } from "./store.js";

const HOUR_MS = 3_600_000, QUARTER_MS = 900_000, MINUTE_MS = 60_000;

// Of the moments of the last quarter of an hour at which it was known what the homes draw; not a number if there is none.
function meanBase(tick) {
  const ticks = Math.min(Math.max(1, Math.round(QUARTER_MS / store.head.tick_ms)), tick + 1);
  const known = Array.from({ length: ticks }, (_, back) => tickValue(tick - back, "base_w")).filter((watts) => !Number.isNaN(watts));
  return known.reduce((total, watts) => total + watts, 0) / known.length;
}

// The plugged cars that still need energy: how much, the most they drew so far, and when they leave if that is known.
function hungry(tick) {
  const found = [];
  store.cars.forEach((card, row) => {
    const car = card.feeder === store.feeder ? carAt(row, tick) : null;
    if (!car?.here || car.what === "full" || Number.isNaN(car.import_w)) return;
    const most = Math.max(...store.changes[row].filter((change) => change.tick <= tick).map((change) => change.import_w));
    const left = card.need_ws - car.imported_ws + car.exported_ws;
    if (left > 0 && most > 0) found.push({ left, most, leaves: card.departure_tick < 0 ? Infinity : card.departure_tick });
  });
  return found;
}

// [[tick, watts]]: homes go on as in the last quarter of an hour, nobody comes, and the cars share what room the limit leaves.
// Nothing where the homes were not heard of, or what was granted before is still in force; a car that is not heard of is left out.
export function expected(tick) {
  const { tick_ms } = store.head, step = Math.max(1, Math.round(MINUTE_MS / tick_ms));
  const base = meanBase(tick), room = Math.max(0, tickValue(tick, "limit_w") - base), cars = hungry(tick);
  if (Number.isNaN(base) || isQuiet(tick)) return [];
  const points = Number.isNaN(loadAt(tick)) ? [] : [[tick + 1, loadAt(tick)]];
  for (let at = tick + 1; at <= tick + HOUR_MS / tick_ms; at += step) {
    const here = cars.filter((car) => car.left > 0 && at < car.leaves), wanted = here.reduce((sum, car) => sum + car.most, 0);
    const share = wanted > room ? room / wanted : 1;
    for (const car of here) car.left -= car.most * share * step * tick_ms / 1000;
    points.push([at, base + wanted * share], [at + step, base + wanted * share]);
  }
  return points;
}
