// How figures and doings are said; the one place with the page's vocabulary.
import { store } from "./store.js";

export const WORDS = {
  "charging": { mark: "↓", short: "charging", says: "charges as it would without anybody asking" },
  "catching up": { mark: "⇊", short: "catching up", says: "draws energy that it had put off" },
  "reduced": { mark: "–", short: "gives way, paid", says: "gives way: it is paid to draw less" },
  "feeding": { mark: "↑", short: "feeds back, paid", says: "feeds power into the street, for pay" },
  "forced": { mark: "×", short: "cut, unpaid", says: "was cut by the last resort, without pay" },
  "waiting": { mark: "…", short: "waits", says: "wants power and must wait" },
  "full": { mark: "•", short: "wants none", says: "is plugged in and wants no power" },
  "gone": { mark: "", short: "not plugged in", says: "is not plugged in" },
};
export const word = (what) => WORDS[what] ?? { mark: "?", short: what, says: what };
export const kind = (what) => `a-${what.replaceAll(" ", "-")}`;

const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const kw = (watts) => number(watts / 1000, Math.abs(watts) < 100_000 ? 1 : 0) + " kW";
export const kwh = (ws) => number(ws / 3_600_000, 1) + " kWh";
export const iota = (nanos) => number(nanos / 1e9, Math.abs(nanos) < 100e9 ? 3 : 1);
export const cars = (count) => `${count} ${count === 1 ? "car" : "cars"}`;

export function clock(tick, seconds = false) {
  const { head } = store;
  const at = new Date(head.start_ms + head.utc_offset_ms + Math.floor(tick) * head.tick_ms);
  const pad = (value) => String(value).padStart(2, "0");
  const time = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}${seconds ? `:${pad(at.getUTCSeconds())}` : ""}`;
  const days = head.all_ticks * head.tick_ms > 25 * 3_600_000;
  return days ? `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][at.getUTCDay()]} ${time}` : time;
}

// What an award bought: each car offers to draw less in steps, and maybe to feed.
export const sold = (trade) => ({ 1: "charging at the least", 2: "a pause", 3: "power fed back" })[trade.tranche] ?? trade.kind;
