// How figures and doings are said; the one place with the page's vocabulary.
import { h } from "./dom.js";
import { store } from "./store.js";

export const WORDS = {
  "charging": { mark: "↓", short: "charging", says: "charges as it would without anybody asking" },
  "catching up": { mark: "⇊", short: "catching up", says: "draws energy that it had put off" },
  "reduced": { mark: "–", short: "charging less, paid", says: "gives way: it is paid to draw less" },
  "paused": { mark: "‖", short: "pausing, paid", says: "gives way: it is paid to draw nothing" },
  "feeding": { mark: "↑", short: "feeding back, paid", says: "feeds power into the street, for pay" },
  "forced": { mark: "×", short: "cut, unpaid", says: "was cut by the last resort, without pay" },
  "waiting": { mark: "…", short: "waiting", says: "wants power and must wait" },
  "full": { mark: "•", short: "full", says: "is plugged in and wants no power" },
  "unheard": { mark: "?", short: "not heard yet", says: "has not been heard of yet" },
  "silent": { mark: "?", short: "not heard any more", says: "is not heard of any more" },
  "quiet": { mark: "?", short: "not known yet", says: "may still draw what it was granted before" },
  "gone": { mark: "", short: "not plugged in", says: "is not plugged in" },
};
export const word = (what) => WORDS[what] ?? { mark: "?", short: what, says: what };
export const kind = (what) => `a-${what.replaceAll(" ", "-")}`;

// Figures that are no number are not known.
const NOT_KNOWN = "not known";
const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const kw = (watts) => (Number.isNaN(watts) ? NOT_KNOWN : number(watts / 1000, Math.abs(watts) < 100_000 ? 1 : 0) + " kW");
export const kva = (voltAmperes) => number(voltAmperes / 1000, 0) + "\u00a0kVA";
export const kwh = (ws) => (Number.isNaN(ws) ? NOT_KNOWN : number(ws / 3_600_000, 1) + " kWh");
export const amps = (watts) => number(watts / store.head.phases / store.head.voltage_v, 1) + " A";
export const hours = (seconds) => (seconds < 5400 ? `${number(seconds / 60, 0)} min` : `${number(seconds / 3600, 1)} h`);
export const iota = (nanos) => number(nanos / 1e9, Math.abs(nanos) < 100e9 ? 3 : 1);
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
export const cars = (count) => plural(count, "car");
export const calls = (count) => plural(count, "call");

export function clock(tick, seconds = store.head.tick_ms < 10_000) {
  const { head } = store;
  const at = new Date(head.start_ms + head.utc_offset_ms + Math.floor(tick) * head.tick_ms);
  const pad = (value) => String(value).padStart(2, "0");
  const time = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}${seconds ? `:${pad(at.getUTCSeconds())}` : ""}`;
  const days = head.all_ticks * head.tick_ms > 25 * 3_600_000;
  return days ? `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][at.getUTCDay()]} ${time}` : time;
}

// Since when a page counts: a node began when it started, or at midnight.
export const soFar = () => (store.head.is_reckoned ? `since ${clock(0)}` : "so far");
export const UNKNOWN = ["unheard", "silent", "quiet"];

// What a car drew, if all was seen since it came; when it has left, its charger's meter was told.
export const charged = (card, car) => kwh(card.is_whole || !car.here ? car.imported_ws : NaN);
export const fedBack = (card, car) => kwh(card.is_whole || !car.here ? car.exported_ws : NaN);
const NOT_WHOLE = "the node was not up all the time since it came";
export const notWhole = (card) => (card.is_whole ? "" : NOT_WHOLE);

// Of a transformer's node.
export const reckoned = () => h("p", { class: "soft" }, "A transformer reads no car's meter: powers are what the chargers may draw, as far as the cars want it. When a car has left, its charger's meter is told.");

// Who was asked in a round, and what came of it.
export function asked(round) {
  const sold = round.reduce_awards + round.feed_awards, others = round.called - round.kept - sold;
  return `${cars(round.called)} asked: ${sold} sold, ${round.kept} could have given way and kept charging, ${others} had nothing to give or asked too much.`;
}

// What an award bought: each car offers to draw less in steps, and maybe to feed.
export const tranche = (number) => ({ 1: "slower charging", 2: "a pause", 3: "power fed back" })[number];
export const step = (number) => ({ 1: "charge slower", 2: "pause as well", 3: "feed power back" })[number];
export const STEPS = "A car offers in steps, each for a price of its own: to charge slower, to pause as well, to feed power back.";
export const sold = (sale) => tranche(Math.max(...sale.tranches));

const SAYS = {
  ReliefCall: "calls for relief", Offer: "answers with its offer", CappedOffer: "passes the offer on, with what it can carry",
  Award: "buys from the offer", Ack: "acknowledges", Release: "ends the award early", Delivery: "says what was delivered",
  Cleared: "tells what this round pays", WitnessedDelivery: "passes the car's delivery on beside its own", Receipt: "has paid",
};
export const says = (step) => (step.sender.includes("charger/") && ["ReliefCall", "Award", "Release", "Receipt", "Cleared", "Ack"].includes(step.kind)
  ? `passes on: ${SAYS[step.kind]}` : SAYS[step.kind] ?? step.kind);

// The fields of a message that say something beyond which round it is of, each in the unit that its name says.
export function fields(message) {
  return Object.entries(message).filter(([name]) => !["feeder", "tick", "session", "kind"].includes(name))
    .map(([name, value]) => `${name.replace(/_?(nanos_.*|nanos|ms|ws|w)$|_s$/, "").replaceAll("_", " ") || "amount"}: ${field(name, value)}`);
}

function field(name, value) {
  if (Array.isArray(value)) return listed(value.map((one) => field(name, one)));
  if (value && typeof value === "object") return `(${fields(value).join(", ")})`;
  if (typeof value !== "number") return String(value);
  if (name.endsWith("_w")) return kw(value);
  if (name.endsWith("_ws")) return kwh(value);
  if (name === "rent") return rent(value);
  if (name === "nanos") return `${iota(value)} IOTA`;
  if (/_nanos_per_/.test(name)) return `${iota(value)} ${store.head.price_unit}`;
  if (name.endsWith("_s")) return hours(value);
  return name.endsWith("_ms") ? clock(value / store.head.tick_ms, true) : String(value);
}

// Several figures of one unit name it once.
function listed(texts) {
  const unit = /^[\d.,]+( [^\d]+)$/.exec(texts[0])?.[1];
  if (!unit || !texts.every((text) => text.endsWith(unit))) return texts.join(", ") || "none";
  return texts.map((text) => text.slice(0, -unit.length)).join(", ") + unit;
}

// Energy times how long it waited: a message counts it in watt-seconds and readings.
const rent = (value) => `${number(value / 3_600_000 * store.head.tick_ms / 3_600_000, 2)} kWh × hours`;
