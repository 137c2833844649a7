// What the page knows of the run: lists that grow as the stream brings more, and the moment that is shown.

export const store = {
  head: null, isTold: false, state: "running", cars: [], ticks: [], rounds: [], trades: [], tradesBy: new Map(), sessions: new Map(), wishes: [], heat: [], grants: [], accounts: [], offers: [], awards: [],
  changes: [], unknown: [], unknownHomes: [], now: 0, feeder: 0, follows: true, plays: false, speed: 300, view: null,
};

let listeners = [];
export const onChange = (listener) => listeners.push(listener);
export const changed = () => listeners.forEach((listener) => listener());

export function begin(head) {
  const index = (names) => Object.fromEntries(names.map((name, place) => [name, place]));
  Object.assign(store, {
    head, isTold: false, cars: [], ticks: [], rounds: [], trades: [], tradesBy: new Map(), sessions: new Map(), wishes: [], heat: [], grants: [], accounts: [], offers: [], awards: [], changes: [], unknown: [], unknownHomes: [], now: 0, view: head.is_reckoned ? 1 : null,
    follows: head.is_live, plays: false, bySession: new Map(),
    column: index(head.feeder_columns), feeder: Math.min(store.feeder, head.feeders.length - 1),
  });
  changed();
}

const named = (names, row) => Object.fromEntries(names.map((name, place) => [name, row[place]]));

export function take(part) {
  const { head } = store, first = !store.ticks.length;
  for (const card of part.cards ?? []) {
    store.bySession.set(card.session, store.cars.length);
    store.cars.push(card);
    store.changes.push([]);
    store.unknown.push([]);
    store.grants.push([]);
  }
  for (const row of part.ticks ?? []) store.ticks.push(row);
  for (const row of part.cars ?? []) {
    const change = named(head.car_columns, row);
    store.changes[change.row].push(change);
  }
  for (const row of part.rounds ?? []) store.rounds.push(named(head.round_columns, row));
  for (const row of part.trades ?? []) {
    const trade = named(head.trade_columns, row);
    store.trades.push(trade);
    if (trade.kind === "forced") continue;
    if (!store.tradesBy.has(trade.session)) store.tradesBy.set(trade.session, []);
    store.tradesBy.get(trade.session).push(trade);
  }
  for (const row of part.sessions ?? []) {
    const session = named(head.session_columns, row);
    store.sessions.set(session.session, session);
  }
  for (const row of part.heat ?? []) store.heat.push(row);
  for (const row of part.grants ?? []) {
    const grant = named(head.grant_columns, row);
    store.grants[grant.row].push(grant);
  }
  for (const row of part.accounts ?? []) store.accounts.push(named(head.account_columns, row));
  for (const row of part.offers ?? []) store.offers.push(named(head.offer_columns, row));
  for (const row of part.awards ?? []) store.awards.push(named(head.award_columns, row));
  for (const row of part.unknown ?? []) {
    const unknown = named(head.unknown_columns, row);
    (store.unknown[unknown.row] ?? store.unknownHomes).push(unknown);
  }
  for (const row of part.wishes ?? []) store.wishes.push(named(head.wish_columns, row));
  Object.assign(store, { isTold: true, state: part.state });
  if (store.follows) store.now = newest();
  else if (!head.is_live && (first || store.atPeak)) showPeak();
  changed();
}

// A finished run opens at its most contested moment, or begins to play.
function showPeak() {
  store.atPeak = true;
  if (store.head.play_speed) {
    Object.assign(store, { speed: store.head.play_speed, plays: true, atPeak: false, now: 0 });
    return;
  }
  const hardest = store.rounds.reduce((best, round) => (round.need_w > (best?.need_w ?? 0) ? round : best), null);
  const loads = store.ticks.map((_, tick) => loadAt(tick));
  store.now = hardest ? Math.min(hardest.tick + 2, newest()) : loads.indexOf(loads.reduce((a, b) => Math.max(a, b), 0));
}

// The session of a car at a tick, else its next one, else its last; cars come several times.
export function sessionOf(vehicle, tick) {
  const mine = store.cars.filter((card) => card.vehicle === vehicle).sort((a, b) => a.arrival_tick - b.arrival_tick);
  return mine.find((card) => card.departure_tick > tick) ?? mine.at(-1);
}

// Show this moment and stay there.
export function moveTo(tick) {
  Object.assign(store, { now: Math.max(0, Math.min(tick, newest())), follows: false, plays: false, atPeak: false });
  changed();
}

export const newest = () => Math.max(store.ticks.length - 1, 0);

// Why it is not known at a tick what the homes draw; empty if it is. The same of the car of a row.
export const homesUnknown = (tick) => lastUntil(store.unknownHomes, tick)?.why ?? "";
const carUnknown = (row, tick) => lastUntil(store.unknown[row] ?? [], tick);
// A transformer that has just started again grants nothing, and what was granted before may still be in force.
export const isQuiet = (tick) => tick < store.head.quiet_ticks;

// A figure of the feeder that is shown; what is not known is no number.
export function tickValue(tick, name) {
  if ((name === "base_w" && homesUnknown(tick)) || (["import_w", "export_w"].includes(name) && isQuiet(tick))) return NaN;
  return store.ticks[tick]?.[store.feeder * store.head.feeder_columns.length + store.column[name]] ?? 0;
}
export const loadAt = (tick) => tickValue(tick, "base_w") + tickValue(tick, "import_w") - tickValue(tick, "export_w");
export const unasked = (tick) => tickValue(tick, "base_w") + tickValue(tick, "baseline_w");

// Of the transformer of the feeder that is shown, at a tick.
export function heatAt(tick) {
  const width = store.head.heat_columns.length, row = store.heat[tick];
  return row ? { hot_c: row[store.feeder * width] / 10, used_s: row[store.feeder * width + 1] } : null;
}
export const accountAt = (tick) => lastUntil(store.accounts.filter((one) => one.feeder === store.feeder), tick);
export const grantAt = (row, tick) => lastUntil(store.grants[row] ?? [], tick);

// The last of some changes until a tick, in the order of time.
function lastUntil(changes, tick) {
  let low = 0, high = changes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (changes[middle].tick <= tick) low = middle + 1; else high = middle;
  }
  return changes[low - 1] ?? null;
}

// What a car does at a tick: the last change until then; null before it came and after it left.
export function carAt(row, tick) {
  const change = lastUntil(store.changes[row] ?? [], tick), unknown = carUnknown(row, tick);
  if (unknown?.why) {
    const before = (change && carSince(change, unknown.tick)) ?? { imported_ws: 0, exported_ws: 0 };
    return { ...before, row, here: true, what: unknown.why, import_w: NaN, export_w: NaN };
  }
  return change && carSince(change, tick);
}

// What a change that was told once comes to by a tick.
function carSince(change, tick) {
  const seconds = (tick - change.tick) * store.head.tick_ms / 1000;
  const here = change.activity >= 0;
  return {
    ...change, here, what: here ? store.head.activities[change.activity] : "gone",
    imported_ws: change.imported_ws + (here ? change.import_w * seconds : 0),
    exported_ws: change.exported_ws + (here ? change.export_w * seconds : 0),
  };
}

// Of the feeder that is shown.
export const rounds = () => store.rounds.filter((round) => round.feeder === store.feeder);
export const roundsUntil = (tick) => rounds().filter((round) => round.tick <= tick);
// Trades that are settled by a tick: what they earned is known from then on, whatever call they are of.
const settledBy = (tick) => (trade) => trade.settled_tick >= 0 && trade.settled_tick <= tick;
export const tradesUntil = (tick) => store.trades.filter((trade) => trade.feeder === store.feeder && settledBy(tick)(trade));
export const tradesOf = (session, tick) => (store.tradesBy.get(session) ?? []).filter(settledBy(tick));
export const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);

// What a car earned until a tick: netted against its bill once it has left, waiting until then.
export function walletOf(session, tick) {
  const earned = sum(tradesOf(session, tick), "nanos"), ended = store.sessions.get(session);
  const left = ended && ended.status !== "open" && ended.departure_tick <= tick;
  const bill = left ? ended.billed_nanos : 0, netted = Math.min(earned, bill);
  return { earned, left, bill, netted, waiting: left ? 0 : earned, rest: left ? earned - netted : 0 };
}
