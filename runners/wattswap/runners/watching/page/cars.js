// The cars as a list, and one of them: what it does and why, its energy and its wallet.
import { fill, h, table, tile } from "./dom.js";
import { driverForm, wishAt, wished } from "./rights.js";
import { earnsRent, salesBy, standing } from "./sales.js";
import { carAt, homesUnknown, newest, sessionOf, store, walletOf } from "./store.js";
import { cars, charged, clock, fedBack, iota, kind, kw, kwh, notWhole, plural, reckoned, sold, word } from "./words.js";

const link = (card) => h("a", { href: `#car/${encodeURIComponent(card.session)}` }, card.station);
const mark = (what) => h("span", {}, h("b", { class: `mark ${kind(what)}` }, word(what).mark), word(what).short);

// Of two sessions at one station the list tells them apart by what they earned and when they leave.
const COLUMNS = [
  ["Charger", (row) => link(row.card)],
  ["Doing now", (row) => mark(row.car?.what ?? "gone")],
  ["Earned, IOTA", (row) => (row.wallet.earned ? iota(row.wallet.earned) : "–"), true],
  ["Power", (row) => (row.car?.here ? kw(row.car.import_w - row.car.export_w) : ""), true],
  ["Charged", (row) => (row.car ? charged(row.card, row.car) : kwh(0)), true],
  ["Fed back", (row) => (row.car?.exported_ws ? kwh(row.car.exported_ws) : "–"), true],
  ["Leaves", (row) => leaves(row.card), true],
  ["Strategy", (row) => row.card.strategy || "not told"],
];

function leaves(card) {
  const ended = store.sessions.get(card.session);
  if (card.departure_tick < 0) return ended ? clock(ended.departure_tick) : "not told";
  return card.departure_tick > store.head.all_ticks ? "after the run" : clock(card.departure_tick);
}

// What was asked for; a run that was broken off did not come to write down the sessions of the cars that were there.
function asked(card, car) {
  if (!card.need_ws) return "it was still here when the run was broken off";
  if (!card.is_whole) return `asked for ${kwh(card.need_ws)}; ${notWhole(card)}`;
  return `${store.head.is_reckoned && car.here ? "reckoned; " : ""}asked for ${kwh(card.need_ws)}`;
}

export class Cars {
  constructor() {
    this.search = h("input", { type: "search", placeholder: "charger or strategy", oninput: () => this.update() });
    this.all = h("input", { type: "checkbox", onchange: () => this.update() });
    this.list = h("div", {});
    this.head = h("h2", {});
    this.element = h("section", { "aria-label": "Cars" }, this.head,
      h("div", { class: "form" }, h("label", {}, "Find ", this.search), h("label", {}, this.all, " also those not plugged in")), this.list);
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest()), wanted = this.search.value.trim().toLowerCase();
    const rows = store.cars.map((card, row) => ({ card, car: carAt(row, tick), wallet: walletOf(card.session, tick) }))
      .filter((row) => row.card.feeder === store.feeder)
      .filter((row) => this.all.checked || row.car?.here)
      .filter((row) => `${row.card.station} ${row.card.strategy} ${row.card.session}`.toLowerCase().includes(wanted));
    rows.sort((a, b) => b.wallet.earned - a.wallet.earned || a.card.station.localeCompare(b.card.station));
    const earning = rows.filter((row) => row.wallet.earned).length;
    this.head.textContent = `${this.all.checked ? plural(rows.length, "session") : `${cars(rows.length)} plugged in`} at ${clock(tick)}, ${plural(earning, "of them has", "of them have")} earned something`;
    fill(this.list, table(COLUMNS, rows, "Cars"), store.head.is_reckoned ? reckoned() : store.head.is_live ? null
      : h("p", { class: "soft" }, "A finished run keeps of a car's power the mean over the time in which it did the same."));
  }
}

// Why it charges.
function whyCharging(row, sold, tick) {
  const wish = wishAt(row, tick), before = sold ? ` The last time it gave way: ${sold[0].toLowerCase()}${sold.slice(1)}` : "";
  if (wish?.isAtOnce && !wish.sells) return `Its driver wants it charged at once, so it answers no call.${before}`;
  if (wish && !wish.sells) return `Its driver wants it to sell nothing, so it answers no call.${before}`;
  if (wish?.least_wh) return `Its driver wants ${kwh(wish.least_wh * 3600)} kept in the battery: with less it answers no call.${before}`;
  return sold ? `The transformer does not need it to give way now.${before}` : "It has not given way so far.";
}

function why(row, car, card, sales, tick) {
  const last = sales[0], unit = store.head.price_unit;
  const asked = last?.ask == null ? "" : `asked for at least ${iota(last.ask)} and `;
  const sold = last && `In the call of ${clock(last.tick, true)} it ${asked}was promised ${iota(last.price)} ${unit}.`;
  switch (car.what) {
    case "paused":
    case "reduced": return sold ? `The transformer was short of power and asked. ${sold}` : "The transformer was short of power and asked; the car offered to wait.";
    case "feeding": return sold ? `The transformer was short of power and asked. ${sold}` : "The transformer was short of power and the car offered some of its own.";
    case "catching up": return "It gave way before; the transformer has room again, so it draws what it had put off.";
    case "forced": return "No offer was enough, so the last resort cut it for a moment. That is not paid.";
    case "unheard": return "It is plugged in, and its charger has not said yet what it wants and does.";
    case "silent": return "Its charger is not heard of any more. The lease of what it was granted is over by now, so the charger lets it draw what is guaranteed, and no more.";
    case "quiet": return `The transformer has just started again: it grants nothing until ${clock(store.head.quiet_ticks, true)}, when every grant from before is certainly over. Until then the car may draw what it was granted before, and nobody here knows what that is.`;
    case "waiting": return homesUnknown(tick)
      ? "The transformer does not hear what the homes draw, so it does not know what room there is, and grants nothing." : `The transformer has no room for it now. ${sales.some(earnsRent)
      ? "What it put off before earns until it is drawn back." : "It holds no award."}`;
    case "full": return `It has what it needs until it leaves (${leaves(card)}).`;
    case "charging": return whyCharging(row, sold, tick);
    default: return tick < card.arrival_tick ? `It comes at ${clock(card.arrival_tick)}.` : "It has left.";
  }
}

const salesColumns = (tick) => [
  ["Call of", (sale) => h("a", { href: `#round/${sale.tick}` }, clock(sale.tick, true))],
  ["It sold", (sale) => sold(sale)],
  ["Power", (sale) => kw(sale.awarded_w), true],
  [`Asked, ${store.head.price_unit}`, (sale) => (sale.ask == null ? "" : iota(sale.ask)), true],
  [`Price, ${store.head.price_unit}`, (sale) => iota(sale.price), true],
  ["Energy", (sale) => (sale.isSettled ? kwh(sale.delivered_ws) : "–"), true],
  ["Earned, IOTA", (sale) => (sale.isSettled ? iota(sale.nanos) : "–"), true],
  ["Payment", (sale) => standing(sale, tick)],
];

export class Car {
  constructor(session) {
    this.row = store.bySession.get(session);
    this.head = h("h2", {});
    this.why = h("p", {});
    this.wish = h("p", {});
    this.form = h("div", {});
    this.tiles = h("div", { class: "tiles" });
    this.strip = h("div", {});
    this.trades = h("div", {});
    this.element = h("section", { "aria-label": "Car" }, h("p", {}, h("a", { href: "#cars" }, "All cars")), this.head, this.why, this.wish, this.form,
      this.tiles, this.strip, h("h3", {}, "What it sold so far"), this.trades);
  }

  update() {
    const card = store.cars[this.row];
    if (!card) {
      fill(this.element, h("p", { class: "notice" }, "There is no such car in this run. ", h("a", { href: "#cars" }, "All cars")));
      return;
    }
    const tick = Math.min(Math.floor(store.now), newest());
    const car = carAt(this.row, tick) ?? { what: "gone", here: false, import_w: 0, export_w: 0, imported_ws: 0, exported_ws: 0 };
    const sales = salesBy(this.row, tick), wallet = walletOf(card.session, tick), open = sales.filter((sale) => !sale.isSettled).length;
    this.head.replaceChildren(h("b", { class: `mark ${kind(car.what)}` }, word(car.what).mark),
      `The car at ${card.station} ${word(car.what).says}.`);
    this.why.textContent = why(this.row, car, card, sales, tick);
    this.wish.textContent = wished(this.row, tick) ?? "";
    this.wish.hidden = !this.wish.textContent;
    if (!this.form.childElementCount) this.form.append(...[driverForm(card, this.row)].filter(Boolean));
    const power = car.import_w - car.export_w;
    fill(this.tiles, [
      tile("Power now", kw(Math.abs(power)), Number.isNaN(power) ? "" : `${power < 0 ? "out of" : "into"} the car${store.head.is_live ? "" : ", mean"}`),
      tile("Charged", charged(card, car), asked(card, car)),
      tile("Fed back", fedBack(card, car), ""),
      tile("Earned", `${iota(wallet.earned)} IOTA`, `by ${sales.length - open} ${sales.length - open === 1 ? "sale" : "sales"}${open ? `; ${open} not paid yet` : ""}${card.is_whole ? "" : `, as far as is known: ${notWhole(card)}`}`),
      wallet.left ? tile("Netted", `${iota(wallet.netted)} IOTA`, `with its bill of ${iota(wallet.bill)}${wallet.rest ? `; ${iota(wallet.rest)} to its wallet` : ""}`)
        : tile("Waiting", `${iota(wallet.waiting)} IOTA`, `netted when it leaves${card.is_whole ? "" : "; as far as is known"}`),
      tile("Leaves", leaves(card), `came ${card.arrival_tick < 0 ? "before this began" : clock(card.arrival_tick)}`),
    ]);
    fill(this.strip, this.days(tick));
    fill(this.trades, sales.length ? table(salesColumns(tick), sales, "Sales, newest call first") : h("p", { class: "soft" }, card.is_whole ? "Nothing yet." : "Nothing that is known here."),
      h("p", { class: "soft" }, `Strategy: ${card.strategy || "not told"} · session ${card.session} · prices in ${store.head.price_unit}`));
  }

  // What it did until now, newest first.
  days(tick) {
    const done = store.changes[this.row].filter((change) => change.tick <= tick);
    const steps = done.filter((change, place) => !place || change.activity !== done[place - 1].activity).slice(-8).reverse();
    if (!steps.length) return null;
    const name = (change) => store.head.activities[change.activity] ?? "gone";
    return [h("h3", {}, "What it did, newest first"), h("div", { class: "legend" }, steps.map((change) =>
      h("span", {}, h("b", { class: `mark ${kind(name(change))}` }, word(name(change)).mark), `${clock(change.tick)} ${word(name(change)).short}`)))];
  }
}

// The screen of a driver: the own car, from session to session.
export class Driven {
  constructor(vehicle) {
    this.vehicle = vehicle;
    this.element = h("div", {});
  }

  update() {
    const card = sessionOf(this.vehicle, Math.floor(store.now));
    if (!this.car || this.session !== card?.session) {
      this.session = card?.session;
      this.car = new Car(this.session);
      this.element.replaceChildren(this.car.element);
    }
    this.car.update();
  }
}
