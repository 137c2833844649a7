// The rounds: each is a call for relief, the offers it got and the awards it made.
import { Transcript } from "./transcript.js";
import { fill, h, table, tile } from "./dom.js";
import { offersTable } from "./transformer.js";
import { newest, rounds, roundsUntil, store, sum, trades } from "./store.js";
import { cars, clock, iota, kw, kwh, sold } from "./words.js";

const COLUMNS = [
  ["Call of", (round) => h("a", { href: `#round/${round.tick}` }, clock(round.tick, true))],
  ["Power needed", (round) => kw(round.need_w), true],
  ["Cars asked", (round) => round.called, true],
  ["Kept charging", (round) => round.kept, true],
  ["Offered", (round) => kw(round.offered_w), true],
  ["Bought", (round) => kw(round.awarded_w), true],
  ["Cars that draw less", (round) => round.reduce_awards, true],
  ["Cars that feed", (round) => round.feed_awards, true],
  ["Highest price", (round) => iota(round[store.head.price_column]), true],
];

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
      ? `${calls.length} ${calls.length === 1 ? "call" : "calls"} until ${clock(tick)}; ${sum(calls, "reduce_awards") + sum(calls, "feed_awards")} offers were taken`
      : `No call until ${clock(tick)}: the transformer had room for everyone`;
    fill(this.list, calls.length ? table(COLUMNS, calls.reverse(), "Calls, newest first") : null,
      h("p", { class: "soft" }, `Newest first; prices in ${store.head.price_unit}.`));
  }
}

const station = (trade) => store.head.cars[store.bySession.get(trade.session)]?.station ?? trade.session;
const AWARDS = [
  ["Charger", (trade) => h("a", { href: `#car/${encodeURIComponent(trade.session)}` }, station(trade))],
  ["Sold", (trade) => sold(trade)],
  ["Offered", (trade) => kw(trade.offered_w), true],
  ["Taken", (trade) => kw(trade.awarded_w), true],
  ["Asked", (trade) => iota(trade[store.head.ask_column]), true],
  ["Price", (trade) => iota(trade[store.head.price_column]), true],
  ["Delivered", (trade) => kwh(trade.delivered_ws), true],
  ["Paid, IOTA", (trade) => iota(trade.nanos), true],
  ["Status", (trade) => trade.status],
];

export class Round {
  constructor(tick) {
    this.tick = Number(tick);
    this.head = h("h2", {});
    this.body = h("div", {});
    this.element = h("section", { "aria-label": "Round" }, h("p", {}, h("a", { href: "#rounds" }, "All calls")), this.head, this.body, h("h3", {}, "What was said"),
      new Transcript(this.tick).element);
  }

  update() {
    const round = rounds().find((one) => one.tick === this.tick), { head } = store;
    if (!round) {
      this.head.textContent = "There was no call at this moment";
      return;
    }
    const awards = trades().filter((trade) => trade.tick === this.tick && trade.kind !== "forced");
    const taken = round.reduce_awards + round.feed_awards, settled = new Set(awards.map((trade) => trade.session)).size;
    this.head.textContent = `At ${clock(round.tick, true)} the transformer needed ${kw(round.need_w)}, asked ${cars(round.called)} and bought ${kw(round.awarded_w)} from ${taken}`;
    fill(this.body,
      h("div", { class: "tiles" },
        tile("Needed", kw(round.need_w)), tile("Offered", kw(round.offered_w), `${round.kept} kept charging`),
        tile("Bought", kw(round.awarded_w), `from ${cars(taken)}`),
        tile("Highest price", iota(round[head.price_column]), head.price_unit)),
      ...(offersTable(round) ? [h("h3", {}, "The offers it got, the taken ones first"), offersTable(round)] : []),
      h("h3", {}, "The offers it took, and what came of them"),
      awards.length ? table(AWARDS, awards, "Awards of this round") : null,
      settled < taken ? h("p", { class: "soft" }, `${taken - settled} of them are not settled yet, and appear here when they are.`) : null);
  }
}
