// What cars sold, as far as it is known at a moment: awards as they were made, and what came of those that are settled.
import { store, sum, tradesOf } from "./store.js";

const FEED = 3;

// The sales among some awards, newest call first. A car's steps down to nothing are one sale, its feeding is another.
function salesOf(isMeant, tick) {
  const found = new Map(), { head } = store, stepOf = (one) => `${one.tick}/${one.row}/${one.tranche}`;
  const offers = new Map(store.offers.filter(isMeant).map((offer) => [stepOf(offer), offer]));
  for (const award of store.awards) {
    if (!isMeant(award) || award.tick > tick) continue;
    const feeds = award.tranche === FEED, key = `${award.tick}/${award.row}/${feeds}`, offer = offers.get(stepOf(award));
    const sale = found.get(key) ?? { tick: award.tick, row: award.row, tranches: [], awarded_w: 0, offered_w: 0, price: 0, ask: null, feeds };
    sale.tranches.push(award.tranche);
    sale.awarded_w += award.awarded_w;
    sale.offered_w += offer?.offered_w ?? award.awarded_w;
    sale.price = Math.max(sale.price, award.price);
    if (offer) sale.ask = Math.max(sale.ask ?? 0, offer.ask);
    found.set(key, sale);
  }
  for (const sale of found.values()) {
    const settled = tradesOf(store.cars[sale.row].session, tick).filter((trade) => trade.tick === sale.tick && (trade.tranche === FEED) === sale.feeds);
    sale.isSettled = settled.length > 0;
    if (!sale.isSettled) continue;
    Object.assign(sale, { delivered_ws: sum(settled, "delivered_ws"), nanos: sum(settled, "nanos"), status: settled[0].status });
    sale.ask ??= Math.max(...settled.map((trade) => trade[head.ask_column]));
  }
  return [...found.values()].sort((a, b) => b.tick - a.tick || a.row - b.row || a.feeds - b.feeds);
}

export const salesBy = (row, tick) => salesOf((one) => one.row === row, tick);
export const salesIn = (round, tick) => salesOf((one) => one.tick === round.tick && one.feeder === round.feeder, tick);

// What a car put off earns its rent until it is drawn back; what it fed does not.
export const earnsRent = (sale) => !sale.isSettled && !sale.feeds;

// Which of the cars in some rows earn rent at a moment.
export function rowsOnRent(rows, tick) {
  const meant = new Set(rows);
  return new Set(salesOf((one) => meant.has(one.row), tick).filter(earnsRent).map((sale) => sale.row));
}

// Where a sale stands at a moment. What becomes of a reward is decided when the car leaves and is billed.
export function standing(sale, tick) {
  if (!sale.isSettled) return sale.feeds ? "paid when its window ends" : "paid when it is drawn back";
  if (sale.status === "disputed") return "disputed, the lower meter paid";
  const ended = store.sessions.get(store.cars[sale.row].session);
  const left = ended && ended.status !== "open" && ended.departure_tick <= tick;
  return left ? sale.status : "earned, waiting for the bill";
}
