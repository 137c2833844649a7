// The transformer: what it carries, the round at hand with its offers and awards, its account, its leases and its age.
import { fill, h, table, tile } from "./dom.js";
import { accountAt, carAt, grantAt, heatAt, loadAt, newest, roundsUntil, store, sum, tickValue, tradesUntil } from "./store.js";
import { carsAt, count, notKnown, ofUnknown, whoWaits } from "./street.js";
import { asked, clock, cars, hours, iota, kva, kw, soFar, step, STEPS } from "./words.js";

const station = (row) => store.cars[row]?.station ?? String(row);
const chargerLink = (row) => h("a", { href: `#charger/${encodeURIComponent(station(row))}` }, station(row));

const offerColumns = () => [
  ["Charger", (offer) => chargerLink(offer.row)],
  ["Step that it offers", (offer) => step(offer.tranche)],
  ["Offered", (offer) => kw(offer.offered_w), true],
  [`Asks, ${store.head.price_unit}`, (offer) => (offer.ask == null ? "" : iota(offer.ask)), true],
  ["Bought", (offer) => (offer.awarded_w ? kw(offer.awarded_w) : "–"), true],
  [`Price, ${store.head.price_unit}`, (offer) => (offer.awarded_w ? iota(offer.price) : "–"), true],
];

// The offers of a round, each with what was bought of it; who was not bought comes last.
export function offersOf(round) {
  const mine = (one) => one.tick === round.tick && one.feeder === round.feeder;
  const key = (one) => `${one.row}/${one.tranche}`;
  const found = new Map(store.offers.filter(mine).map((offer) => [key(offer), { ...offer }]));
  for (const award of store.awards.filter(mine)) {
    found.set(key(award), { ...(found.get(key(award)) ?? { ...award, offered_w: award.awarded_w }), ...award });
  }
  return [...found.values()].sort((a, b) => (b.awarded_w ?? 0) - (a.awarded_w ?? 0) || (a.ask ?? 0) - (b.ask ?? 0));
}

// Null where nothing is known of them, or, if that is all one wants to see, of those that were not taken.
export function offersTable(round, refused = false) {
  const offers = offersOf(round);
  return offers.some((offer) => !refused || !offer.awarded_w) ? table(offerColumns(), offers, "Offers of this round") : null;
}

function leases(tick) {
  const held = [];
  store.cars.forEach((card, row) => {
    const grant = card.feeder === store.feeder && carAt(row, tick)?.here ? grantAt(row, tick) : null;
    if (grant && grant.granted_w >= 0) held.push(grant);
  });
  return held;
}

export class TransformerScreen {
  constructor() {
    this.head = h("h2", {});
    this.tiles = h("div", { class: "tiles roomy" });
    this.round = h("div", {});
    this.element = h("section", { "aria-label": "Transformer" }, this.head, this.tiles, this.round);
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest()), { head } = store;
    const load = loadAt(tick), limit = tickValue(tick, "limit_w"), heat = heatAt(tick), account = accountAt(tick);
    const calls = roundsUntil(tick), last = calls.at(-1), window = 2 * head.window_ms / head.tick_ms;
    const found = carsAt(tick), waits = whoWaits(tick, found), unknown = ofUnknown(count(found)), nothing = notKnown(tick);
    const atHand = last && tick - last.tick <= window;
    this.head.textContent = nothing || (atHand
      ? `The transformer asked at ${clock(last.tick, true)} for ${kw(last.need_w)} less, and bought ${kw(last.awarded_w)}`
      : load > limit ? `The transformer carries ${kw(load - limit)} more than it may`
        : waits || unknown ? `The transformer asks nobody now. ${waits}${waits ? unknown : unknown.trim()}` : "The transformer has room for everyone: it asks nobody");
    const paid = sum(tradesUntil(tick), "nanos"), held = leases(tick);
    const told = held.some((grant) => grant.lease_ms >= 0), inForce = told ? held.filter((grant) => grant.lease_ms > 0) : held;
    const rating = head.feeders[store.feeder].rating_va;
    fill(this.tiles, [
      tile("Load", kw(load), `limit ${kw(limit)}${rating ? ` of ${kva(rating)}` : ""}`, load > limit ? "over" : ""),
      tile(`Calls ${soFar()}`, String(calls.length), last ? `last at ${clock(last.tick)}` : "nobody was asked"),
      tile("Cars earned", iota(paid), `IOTA, for settled awards${head.is_reckoned ? ` ${soFar()}` : ""}`),
      account && tile("Free to promise", iota(account.free_nanos), "IOTA in the site's account"),
      account && tile("Reserved", iota(account.reserved_nanos), "IOTA, for awards under way"),
      account && tile("To be netted", iota(account.earned_nanos), "IOTA, when the cars leave"),
      held.length ? tile("Leases", told ? `${inForce.length} in force` : cars(held.length), `for ${kw(sum(inForce, "granted_w"))} in all`) : null,
      heat && tile("Hottest spot", `${heat.hot_c.toFixed(0)} °C`, heat.hot_c > 98 ? "above 98: ages fast" : "below 98: ages slowly", heat.hot_c > 120 ? "over" : ""),
      heat && tile("Life used", hours(heat.used_s), `in ${hours((tick + 1) * head.tick_ms / 1000)}`),
    ]);
    const offers = atHand ? offersTable(last) : null;
    fill(this.round, last ? h("h3", {}, `${atHand ? "The round at hand" : "The last round"}, of `, h("a", { href: `#round/${last.tick}` }, clock(last.tick, true))) : null,
      last ? h("p", {}, `${asked(last)} Offered ${kw(last.offered_w)}, bought ${kw(last.awarded_w)}${last.awarded_w ? `; highest price ${iota(last[head.price_column])} ${head.price_unit}` : ""}.`) : null,
      offers, offers && h("p", { class: "soft" }, STEPS), offers && !head.is_live ? h("p", { class: "soft" }, "A finished run keeps the offers that were taken.") : null,
      h("p", { class: "soft" }, calls.length ? h("a", { href: "#rounds" }, "All calls") : "When it runs short, its call, the offers and what it bought of them appear here."));
  }
}
