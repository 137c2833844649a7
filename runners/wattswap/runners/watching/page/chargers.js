// The chargers of the street, and one of them: who is plugged in, phases and amps, what it may draw and for how long.
import { fill, h, table, tile } from "./dom.js";
import { carAt, grantAt, newest, store } from "./store.js";
import { amps, charged, clock, kind, kw, kwh, notWhole, plural, UNKNOWN, word } from "./words.js";

const link = (name) => h("a", { href: `#charger/${encodeURIComponent(name)}` }, name);

// The row of the session at a charger at a tick, or of its next one, or -1.
function sessionAt(name, tick) {
  const here = store.cars.map((card, row) => ({ card, row })).filter(({ card }) => card.station === name && card.feeder === store.feeder);
  const now = here.find(({ row }) => carAt(row, tick)?.here);
  const next = here.filter(({ card }) => card.arrival_tick > tick).sort((a, b) => a.card.arrival_tick - b.card.arrival_tick)[0];
  return { now: now?.row ?? -1, next: next?.row ?? -1, known: here.length > 0 };
}

const COLUMNS = [
  ["Charger", (one) => link(one.name)],
  ["Car", (one) => (one.row < 0 ? "–" : h("a", { href: `#car/${encodeURIComponent(store.cars[one.row].session)}` }, store.cars[one.row].vehicle))],
  ["Doing now", (one) => h("span", {}, h("b", { class: `mark ${kind(one.car?.what ?? "gone")}` }, word(one.car?.what ?? "gone").mark), one.row < 0 ? "free" : word(one.car.what).short)],
  ["Power", (one) => (one.row < 0 ? "" : kw(one.car.import_w - one.car.export_w)), true],
];
// On how many phases its chargers draw, a transformer is not told.
const CURRENT = ["Current", (one) => (one.row < 0 ? "" : amps(one.car.import_w - one.car.export_w)), true];
// A finished run keeps no grants.
const MAY_DRAW = ["May draw", (one) => (one.grant?.granted_w >= 0 ? kw(one.grant.granted_w) : UNKNOWN.includes(one.car?.what) ? "not known" : "–"), true];

export class Chargers {
  constructor() {
    this.head = h("h2", {});
    this.list = h("div", {});
    this.element = h("section", { "aria-label": "Chargers" }, this.head, this.list);
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest()), at = new Map();
    store.cars.forEach((card, row) => {
      if (card.feeder !== store.feeder) return;
      const car = carAt(row, tick);
      if (car?.here) at.set(card.station, { name: card.station, row, car, grant: grantAt(row, tick) });
      else if (!at.has(card.station)) at.set(card.station, { name: card.station, row: -1 });
    });
    const all = [...at.values()].sort((a, b) => (a.row < 0) - (b.row < 0) || a.name.localeCompare(b.name));
    const taken = all.filter((one) => one.row >= 0).length;
    this.head.textContent = `${taken} of ${plural(all.length, "charger")} ${taken === 1 ? "has" : "have"} a car at ${clock(tick)}`;
    fill(this.list, table([...COLUMNS, ...(store.head.is_reckoned ? [] : [CURRENT]), ...(store.grants.some((told) => told.length) ? [MAY_DRAW] : [])], all, "Chargers"));
  }
}

function lease(grant, car) {
  if (grant.lease_ms < 0) return tile("Lease", "not told here", "agents keep it to themselves");
  if (!grant.lease_ms) return tile("Lease", "none", car.what === "full" ? "nothing was asked for" : car.what === "silent" ? "over: its charger is silent" : "what is guaranteed counts");
  return tile("Lease left", `${grant.lease_ms / 1000} s`, `of ${store.head.lease_ms / 1000} s, renewed every reading`);
}

export class ChargerScreen {
  constructor(name) {
    this.name = name;
    this.head = h("h2", {});
    this.body = h("div", {});
    this.element = h("section", { "aria-label": "Charger" }, h("p", {}, h("a", { href: "#chargers" }, "All chargers")), this.head, this.body);
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest()), { head } = store, { now, next, known } = sessionAt(this.name, tick);
    if (!known) {
      this.head.textContent = `There is no charger ${this.name} on this feeder`;
      return;
    }
    if (now < 0) {
      this.head.textContent = `Charger ${this.name} is free`;
      fill(this.body, h("p", {}, next < 0 ? "Nobody else comes in this run." : `The next car comes at ${clock(store.cars[next].arrival_tick)}.`));
      return;
    }
    const card = store.cars[now], car = carAt(now, tick), grant = grantAt(now, tick), power = car.import_w - car.export_w;
    this.head.replaceChildren(h("b", { class: `mark ${kind(car.what)}` }, word(car.what).mark), `Charger ${this.name}: its car ${word(car.what).says}`);
    const behind = Math.max(card.need_ws - car.imported_ws + car.exported_ws, 0);
    fill(this.body, h("div", { class: "tiles" },
      tile("Power", kw(Math.abs(power)), Number.isNaN(power) ? "" : power < 0 ? "out of the car" : "into the car"),
      head.is_reckoned ? null : tile("Current", amps(Math.abs(power)), `on each of ${head.phases} ${head.phases === 1 ? "phase" : "phases"}, ${head.voltage_v} V`),
      UNKNOWN.includes(car.what) && !grant ? tile("May draw", "not known") : null,
      grant?.granted_w >= 0 ? tile("May draw", kw(grant.granted_w), head.is_reckoned ? (grant.lease_ms ? "granted" : "guaranteed") : `${amps(grant.granted_w)} a phase, granted`) : null,
      grant ? lease(grant, car) : null,
      tile("Charged", charged(card, car), notWhole(card) || (card.need_ws ? `${kwh(behind)} still to come` : "")),
      tile("Since", clock(Math.max(card.arrival_tick, 0)), card.arrival_tick < 0 ? "or before" : "when it was plugged in")),
    head.is_live ? null : h("p", { class: "soft" }, "What it may draw, and for how long, is shown while a run goes on."),
    h("p", {}, "Plugged in: ", h("a", { href: `#car/${encodeURIComponent(card.session)}` }, card.vehicle), `, session ${card.session}.`));
  }
}
