// The street: what the transformer carries against what it may, and what each plugged car does.
import { TimeChart, windowButtons } from "./chart.js";
import { fill, h, tile } from "./dom.js";
import { expected } from "./expectation.js";
import { limitForm } from "./rights.js";
import { rowsOnRent } from "./sales.js";
import { carAt, homesUnknown, isQuiet, loadAt, newest, rounds, roundsUntil, store, sum, tickValue, tradesUntil, unasked } from "./store.js";
import { calls, cars, clock, iota, kind, kw, kwh, reckoned, soFar, UNKNOWN, WORDS, word } from "./words.js";

const ORDER = [...UNKNOWN, "forced", "paused", "reduced", "feeding", "waiting", "catching up", "charging", "full"];

export function carsAt(tick) {
  const found = [];
  store.cars.forEach((card, row) => {
    if (card.feeder !== store.feeder) return;
    const car = carAt(row, tick);
    if (car?.here) found.push({ card, ...car });
  });
  const rank = (car) => ORDER.indexOf(car.what);
  return found.sort((a, b) => rank(a) - rank(b) || a.card.station.localeCompare(b.card.station));
}

export function count(found) {
  const counts = Object.fromEntries(ORDER.map((what) => [what, 0]));
  for (const car of found) counts[car.what] = (counts[car.what] ?? 0) + 1;
  return counts;
}

// Nobody is asked to give way, yet there is no room for these: most gave way before, and earn rent until they have drawn it back.
export function whoWaits(tick, found) {
  const rows = found.filter((car) => car.what === "waiting").map((car) => car.row), onRent = rowsOnRent(rows, tick).size;
  const one = rows.length === 1, who = `${cars(rows.length)} ${one ? "waits" : "wait"} for room`;
  if (!rows.length || !onRent) return rows.length ? `${who}.` : "";
  if (onRent < rows.length) return `${who}; the rent of ${onRent} of them is still running.`;
  return `${who} to catch up; ${one ? "its" : "their"} rent is still running.`;
}

const unknownCars = (counts) => sum(UNKNOWN.map((what) => ({ count: counts[what] ?? 0 })), "count");

// Why the transformer grants nothing and nobody knows what it carries; empty if that is known.
export function notKnown(tick) {
  if (isQuiet(tick)) return `The transformer has just started again: it grants nothing until ${clock(store.head.quiet_ticks, true)}, when every grant from before is certainly over.`;
  const homes = homesUnknown(tick);
  if (!homes) return "";
  return `What the homes draw is ${homes === "silent" ? "not heard any more" : "not heard yet"}: until it is, the transformer does not know what room there is, and grants nothing.`;
}

// What is to be said of cars that are plugged in and not known; empty if there are none.
export function ofUnknown(counts) {
  const count = unknownCars(counts);
  return count ? ` Of ${cars(count)} it is not known what ${count === 1 ? "it does" : "they do"}.` : "";
}

function headline(tick, found, counts) {
  return notKnown(tick) || carried(tick, found, counts) + ofUnknown(counts);
}

function carried(tick, found, counts) {
  const load = loadAt(tick), limit = tickValue(tick, "limit_w"), saved = unasked(tick) - load;
  const least = unknownCars(counts) ? "at least " : "";
  const carries = load > limit
    ? `The transformer carries ${least}${kw(load)}, ${least}${kw(load - limit)} more than it may.`
    : `The transformer carries ${least}${kw(load)} of the ${kw(limit)} it may.`;
  const gives = counts.paused + counts.reduced + counts.feeding;
  if (gives) return `${carries} ${cars(gives)} ${gives === 1 ? "is" : "are"} paid to give way` +
    (saved > 1000 && unasked(tick) > limit ? `; with nobody giving way it would be ${kw(unasked(tick))}.` : ".");
  if (counts.forced) return `${carries} ${cars(counts.forced)} had to be cut without pay.`;
  return `${carries} ${whoWaits(tick, found) || (unknownCars(counts) ? "" : "Nobody has to give way.")}`.trim();
}

function tiles(tick, found, counts) {
  const load = loadAt(tick), limit = tickValue(tick, "limit_w");
  const until = roundsUntil(tick), last = until.at(-1), unit = store.head.price_unit;
  const bought = until.filter((round) => round.awarded_w).at(-1);
  const settled = tradesUntil(tick);
  const behind = tickValue(tick, "owed_ws"), least = unknownCars(counts) && !notKnown(tick) ? "at least " : "";
  return [
    tile("Load", least + kw(load), `limit ${kw(limit)}`, load > limit ? "over" : ""),
    tile("Homes", kw(tickValue(tick, "base_w")), `cars ${least}${kw(tickValue(tick, "import_w") - tickValue(tick, "export_w"))}`),
    tile("Giving way", isQuiet(tick) ? "not known" : cars(counts.paused + counts.reduced + counts.feeding),
      counts.waiting ? `${counts.waiting} ${counts.waiting === 1 ? "waits" : "wait"}${notKnown(tick) ? "" : " for room"}` : `of ${found.length} plugged`),
    tile("Last call", last ? clock(last.tick) : "none yet",
      last ? `got ${kw(last.awarded_w)}` : `nobody was asked ${soFar()}`),
    tile("Price", bought ? iota(bought[store.head.price_column]) : "–", unit),
    tile("Cars earned", iota(sum(settled, "nanos")), `IOTA ${soFar()}`),
    tile("Behind", kwh(behind), counts.unheard ? `without ${cars(counts.unheard)} not heard yet` : behind > 0 ? "to catch up" : "all caught up"),
  ];
}

const FED = ["--feeding", "fed by cars", "hatched"];
const LEGEND = [
  ["--homes", "homes", ""], ["--cars", "cars", ""], FED, ["--ink", "load", "thin"], ["--limit", "limit", "thin"], ["--over", "with nobody giving way", "thin dashed"],
  ["--ink", "expected in the next hour", "thin dotted"],
];

function legend(feeds) {
  const entry = ([name, text, style]) => {
    const chip = h("i", { class: style });
    chip.style[style.startsWith("thin") ? "borderColor" : "backgroundColor"] = `var(${name})`;
    return h("span", {}, chip, text);
  };
  return h("div", { class: "legend" }, LEGEND.filter((one) => feeds || one !== FED).map(entry), windowButtons());
}

function squares(found, counts) {
  const square = (car) => h("a", {
    href: `#car/${encodeURIComponent(car.card.session)}`, class: kind(car.what),
    title: `${car.card.station} ${word(car.what).says}, ${kw(car.import_w - car.export_w)}`,
    "aria-label": `${car.card.station}: ${word(car.what).short}`,
  }, word(car.what).mark);
  const entries = ORDER.filter((what) => counts[what]).map((what) =>
    h("span", {}, h("b", { class: `mark ${kind(what)}` }, WORDS[what].mark), `${counts[what]} ${WORDS[what].short}`));
  return [h("h3", {}, "Each square is a plugged car"), h("div", { class: "legend marks" }, entries),
    h("div", { class: "squares" }, found.map(square))];
}

export class Street {
  constructor() {
    const small = window.innerHeight < 600;
    this.load = new TimeChart({
      title: "Power of homes and cars against the transformer's limit", height: small ? 170 : 300, unit: (w) => `${Math.round(w / 1000)} kW`,
      tip: (tick) => `load ${kw(loadAt(tick))} of ${kw(tickValue(tick, "limit_w"))}\nhomes ${kw(tickValue(tick, "base_w"))}` +
        `\ncars draw ${kw(tickValue(tick, "import_w"))}, feed ${kw(tickValue(tick, "export_w"))}\nwith nobody giving way ${kw(unasked(tick))}`,
      summary: () => `At ${clock(store.now)} ${kw(loadAt(Math.floor(store.now)))} of ${kw(tickValue(Math.floor(store.now), "limit_w"))}; `
        + `in an hour, by what is known now, ${kw(this.expected.at(-1)?.[1] ?? NaN)}.`,
    });
    this.price = new TimeChart({
      title: "Price of each call", height: small ? 80 : 110, unit: (nanos) => (nanos / 1e9).toFixed(1),
      tip: (tick) => this.priceTip(tick),
      summary: () => `${calls(roundsUntil(store.now).length)} until ${clock(store.now)}.`,
    });
    this.head = h("h2", {});
    this.tiles = h("div", { class: "tiles" });
    this.legend = h("div", {});
    this.form = h("div", {});
    this.priceHead = h("h3", {});
    this.squares = h("div", {});
    this.looked = 0; // so many ticks do not show cars that feed more than they draw
    this.element = h("section", { "aria-label": "Street" }, this.head, this.tiles, this.form,
      h("div", { class: "beside" }, h("div", {}, this.legend, this.load.element, this.priceHead, this.price.element), this.squares));
  }

  priceTip(tick) {
    const near = rounds().filter((round) => Math.abs(round.tick - tick) < 6)
      .sort((a, b) => Math.abs(a.tick - tick) - Math.abs(b.tick - tick))[0];
    return near ? `call of ${clock(near.tick)}: needed ${kw(near.need_w)}\n${iota(near[store.head.price_column])} ${store.head.price_unit}` : "no call";
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest());
    const found = carsAt(tick), counts = count(found);
    this.head.textContent = headline(tick, found, counts);
    fill(this.tiles, tiles(tick, found, counts));
    for (; !this.feeds && this.looked < store.ticks.length; this.looked++) this.feeds = loadAt(this.looked) < tickValue(this.looked, "base_w");
    const shown = `${store.view} ${this.feeds}`;
    if (this.shown !== shown) this.legend.replaceChildren(legend(this.feeds));
    this.shown = shown;
    if (this.limit === undefined) {
      this.limit = limitForm();
      if (this.limit) this.form.append(this.limit.element);
    }
    this.limit?.follow();
    this.expected = expected(tick);
    const base = (at) => tickValue(at, "base_w"), limit = (at) => tickValue(at, "limit_w");
    // where cars feed more than they draw, the load is less than what the homes draw
    const drawn = (at) => Math.max(loadAt(at), base(at)), ofHomes = (at) => Math.min(loadAt(at), base(at));
    this.load.draw([
      { kind: "area", values: (at) => Math.max(unasked(at), limit(at)), below: limit, colour: "--over", alpha: 0.25 },
      { kind: "area", values: drawn, below: base, colour: "--cars" },
      { kind: "area", values: ofHomes, colour: "--homes" },
      { kind: "area", values: base, below: ofHomes, colour: "--feeding", isHatched: true },
      { kind: "line", values: loadAt, colour: "--ink", width: 1 },
      { kind: "line", values: unasked, colour: "--over", dashed: true, width: 1.5 },
      { kind: "line", values: limit, colour: "--limit", width: 2.5 },
      { kind: "path", points: this.expected, colour: "--ink", width: 1.5 },
    ]);
    this.priceHead.textContent = `Highest price of each call, ${store.head.price_unit}`;
    const bought = rounds().filter((round) => round.awarded_w);
    this.price.element.hidden = this.priceHead.hidden = !bought.length;
    this.price.draw([{ kind: "dots", points: bought.map((round) => [round.tick, round[store.head.price_column]]), colour: "--accent" }]);
    fill(this.squares, squares(found, counts), store.head.is_reckoned ? reckoned() : null);
  }
}
