// The rounds: each is a call for relief, the offers it got and the awards it made.
import { Transcript } from "./transcript.js";
import { fill, h, table, tile } from "./dom.js";
import { offersTable } from "./transformer.js";
import { salesIn, standing } from "./sales.js";
import { moveTo, newest, rounds, roundsUntil, store, sum } from "./store.js";
import { asked, calls as count, cars, clock, iota, kw, kwh, plural, sold, STEPS } from "./words.js";

const COLUMNS = [
  ["Call of", (round) => h("a", { href: `#round/${round.tick}` }, clock(round.tick, true))],
  ["Power needed", (round) => kw(round.need_w), true],
  ["Cars asked", (round) => round.called, true],
  ["Kept charging", (round) => round.kept, true],
  ["Offered", (round) => kw(round.offered_w), true],
  ["Bought", (round) => kw(round.awarded_w), true],
  ["Cars that draw less", (round) => round.reduce_awards, true],
  ["Cars that feed", (round) => round.feed_awards, true],
];
const highest = (round) => (round.awarded_w ? iota(round[store.head.price_column]) : "–");
const priceColumn = () => [`Highest price, ${store.head.price_unit}`, highest, true];

export class Rounds {
  constructor() {
    this.head = h("h2", {});
    this.list = h("div", {});
    this.element = h("section", { "aria-label": "Rounds" }, this.head,
      h("p", {}, "When the transformer runs short it asks the cars, takes the cheapest offers, and pays them."), this.list);
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest()), calls = roundsUntil(tick);
    this.head.textContent = calls.length
      ? `${count(calls.length)} until ${clock(tick)}; ${plural(sum(calls, "reduce_awards") + sum(calls, "feed_awards"), "offer was", "offers were")} taken`
      : `No call until ${clock(tick)}`;
    fill(this.list, calls.length ? table([...COLUMNS, priceColumn()], calls.reverse(), "Calls, newest first") : null);
  }
}

const card = (sale) => store.cars[sale.row];
const columns = (tick) => [
  ["Charger", (sale) => h("a", { href: `#car/${encodeURIComponent(card(sale).session)}` }, card(sale).station)],
  ["Sold", (sale) => sold(sale)],
  ["Offered", (sale) => kw(sale.offered_w), true],
  ["Taken", (sale) => kw(sale.awarded_w), true],
  [`Asked, ${store.head.price_unit}`, (sale) => (sale.ask == null ? "" : iota(sale.ask)), true],
  [`Price, ${store.head.price_unit}`, (sale) => iota(sale.price), true],
  ["Energy", (sale) => (sale.isSettled ? kwh(sale.delivered_ws) : "–"), true],
  ["Earned, IOTA", (sale) => (sale.isSettled ? iota(sale.nanos) : "–"), true],
  ["Payment", (sale) => standing(sale, tick)],
];

export class Round {
  constructor(tick) {
    this.tick = Number(tick);
    this.head = h("h2", {});
    this.body = h("div", {});
    this.transcript = new Transcript(this.tick);
    this.element = h("section", { "aria-label": "Round" }, h("p", {}, h("a", { href: "#rounds" }, "All calls")), this.head, this.body, h("h3", {}, "What was said"),
      this.transcript.element);
  }

  update() {
    const round = rounds().find((one) => one.tick === this.tick), { head } = store;
    if (!round) {
      this.head.textContent = "There was no call at this moment";
      return;
    }
    const tick = Math.min(Math.floor(store.now), newest());
    this.transcript.update();
    if (tick < round.tick) {
      this.head.textContent = `This call goes out at ${clock(round.tick, true)}, after the moment that is shown`;
      fill(this.body, h("button", { type: "button", id: "then", onclick: () => moveTo(round.tick) }, "Show that moment"));
      return;
    }
    const sales = salesIn(round, tick), taken = round.reduce_awards + round.feed_awards, offers = offersTable(round, true);
    this.head.textContent = `At ${clock(round.tick, true)} the transformer needed ${kw(round.need_w)}, asked ${cars(round.called)} and bought ${kw(round.awarded_w)} from ${taken}`;
    fill(this.body,
      h("div", { class: "tiles" },
        tile("Needed", kw(round.need_w)), tile("Offered", kw(round.offered_w), `by those of ${round.called} that could`),
        tile("Bought", kw(round.awarded_w), `from ${cars(taken)}`),
        tile("Highest price", highest(round), head.price_unit)),
      h("p", {}, asked(round)),
      ...(offers ? [h("h3", {}, "The offers it got, the taken ones first"), offers, h("p", { class: "soft" }, STEPS)] : []),
      h("h3", {}, `The offers it took, and what came of them until ${clock(tick)}`),
      sales.length ? table(columns(tick), sales, "Awards of this round") : null);
  }
}
