// Puts the page together: the stream that fills the store, the moment that is shown, and the screens.
import { Car, Cars, Driven } from "./cars.js";
import { h, unescaped } from "./dom.js";
import { ChargerScreen, Chargers } from "./chargers.js";
import { Islands } from "./islands.js";
import { Readings } from "./readings.js";
import { Round, Rounds } from "./rounds.js";
import { begin, changed, moveTo, newest, onChange, store, take } from "./store.js";
import { Street } from "./street.js";
import { TransformerScreen } from "./transformer.js";
import { clock } from "./words.js";

const at = (id) => document.getElementById(id);
const main = at("screen"), SPEEDS = [1, 10, 60, 300, 1200, 3600];

// -- the stream -----------------------------------------------------------------------------------------------------

const AGAIN_MS = 5_000, SERVER_SILENT_MS = 25_000, MOST_BEATS = 5;
let connected = false, newsAt = 0, eventAt = 0, wasSilent = false;

// Something came: a heartbeat says that the stream is there, and how long the street itself has told nothing.
function heard(silent_ms = 0) {
  eventAt = performance.now();
  connected = true;
  newsAt = silent_ms ? Math.min(newsAt, eventAt - silent_ms) : eventAt;
}

// A process that is frozen keeps its connections, and says nothing; where only its street stands still, its heartbeats go on.
function isSilent() {
  if (!store.head || !connected || store.state !== "running") return false;
  const { beat_ms } = store.head, now = performance.now();
  return now - eventAt > SERVER_SILENT_MS || (beat_ms > 0 && now - newsAt > MOST_BEATS * Math.max(beat_ms, 1_000));
}

setInterval(() => { if (isSilent() !== wasSilent) changed(); }, 500);

function listen() {
  if (!("EventSource" in window)) {
    main.replaceChildren(h("p", { class: "notice" },
      "This browser has no EventSource, which the page needs to be told what happens; any browser since 2020 has it."));
    return;
  }
  const stream = new EventSource("stream");
  stream.addEventListener("head", (event) => { heard(); shown = null; begin(JSON.parse(event.data)); });
  stream.addEventListener("part", (event) => { heard(); take(JSON.parse(event.data)); });
  stream.addEventListener("beat", (event) => { heard(JSON.parse(event.data).silent_s * 1000); });
  stream.addEventListener("open", () => { heard(); changed(); });
  stream.addEventListener("error", () => {
    connected = false;
    changed();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS); // a browser connects again when it was cut off, but not when it was refused
  });
}

// What goes on, in words that change seldom: a screen reader says them when they do.
function stateText() {
  const { head, state } = store;
  if (!head) return connected ? "The run begins …" : "Waiting for the run …";
  if (!connected || state === "lost") return "Connection lost: this is how it was last; trying again …";
  if (wasSilent) return `No news since ${clock(newest(), true)}: the street may have stopped`;
  if (state === "running") return `${head.name}, running`;
  return head.is_live ? `${head.name}, the run is over` : `${head.name}, ${state === "complete" ? "a finished run" : `a run that was ${state}`}`;
}

function showState() {
  wasSilent = isSilent();
  const text = stateText(), runs = store.head && connected && store.state === "running" && !wasSilent;
  if (at("doing").textContent !== text) at("doing").textContent = text;
  at("reached").textContent = runs ? `: ${clock(newest())}` : "";
  at("state").classList.toggle("bad", wasSilent || (Boolean(store.head) && (!connected || store.state === "lost")));
}

// -- the moment -----------------------------------------------------------------------------------------------------

let playedFrom = null;

function advance(now) {
  if (store.plays && playedFrom != null) {
    store.now += (now - playedFrom) / store.head.tick_ms * store.speed;
    if (store.now >= newest()) Object.assign(store, { now: newest(), plays: false, follows: store.head.is_live });
    changed();
  }
  playedFrom = store.plays ? now : null;
  if (store.plays) requestAnimationFrame(advance);
}

function play() {
  store.plays = !store.plays;
  store.follows = store.atPeak = false;
  if (store.plays && store.now >= newest()) store.now = 0;
  playedFrom = null;
  requestAnimationFrame(advance);
  changed();
}

for (const speed of SPEEDS) at("speed").append(h("option", { value: speed }, `${speed.toLocaleString("en")} ×`));
at("speed").addEventListener("change", (event) => { store.speed = Number(event.target.value); });
at("play").addEventListener("click", play);
at("newest").addEventListener("click", () => { Object.assign(store, { follows: true, plays: false, now: newest() }); changed(); });
at("moment").addEventListener("input", (event) => moveTo(Number(event.target.value)));

at("feeder").addEventListener("change", (event) => { store.feeder = Number(event.target.value); shown = null; changed(); });

function showFeeders() {
  const { feeders } = store.head;
  at("feeders").hidden = at("islands").hidden = feeders.length < 2;
  if (at("feeder").childElementCount === feeders.length) return;
  at("feeder").replaceChildren(...feeders.map((feeder, number) => h("option", { value: number }, feeder.name)));
}

function showTime() {
  showFeeders();
  at("readings").hidden = Boolean(store.head.no_look_up);
  at("time").hidden = !store.ticks.length;
  at("clock").textContent = clock(store.now);
  at("play").textContent = store.plays ? "Pause" : "Play";
  at("moment").max = newest();
  at("moment").value = Math.floor(store.now);
  at("moment").setAttribute("aria-valuetext", clock(store.now));
  at("newest").hidden = !store.head.is_live || store.follows;
  if (!SPEEDS.includes(store.speed)) {
    SPEEDS.push(store.speed);
    at("speed").append(h("option", { value: store.speed }, `${store.speed} ×`));
  }
  if (document.activeElement !== at("speed")) at("speed").value = store.speed;
}

// -- the screens ----------------------------------------------------------------------------------------------------

const SCREENS = {
  street: Street, islands: Islands, transformer: TransformerScreen, rounds: Rounds, round: Round, cars: Cars, car: Car, driven: Driven,
  chargers: Chargers, charger: ChargerScreen, readings: Readings,
};
const PARENT = { round: "rounds", car: "cars", driven: "cars", charger: "chargers" };
let screen = null, shown = null;

function show() {
  if (!store.isTold) return;
  const [name, argument] = location.hash.slice(1).split("/");
  const known = Object.hasOwn(SCREENS, name) ? name : "street", key = `${known}/${argument ?? ""}`;
  if (shown !== key) {
    const hadFocus = main.contains(document.activeElement);
    screen = new SCREENS[known](argument && unescaped(argument));
    main.replaceChildren(screen.element);
    if (hadFocus) main.focus({ preventScroll: true }); // where a link led on by the keyboard, the keyboard goes on
    shown = key;
    window.scrollTo(0, 0);
  }
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.hash.slice(1) === (PARENT[known] ?? known)) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.title = `${titleOf(known, argument && unescaped(argument))} · ${store.head.name} · Wattswap`;
}

function titleOf(name, argument) {
  if (name === "round") return `Call of ${clock(Number(argument) || 0, true)}`;
  const title = { islands: "Feeders", driven: "Your car" }[name] ?? name[0].toUpperCase() + name.slice(1);
  return ["car", "charger"].includes(name) && argument ? `${title} ${argument}` : title;
}

let isHeld = false, isDue = false, drawnAt = 0;
const FRAME_MS = 100;

// At most ten times a second, and never between the press and the release of a button: a click must find its target.
function render() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => requestAnimationFrame(() => {
    isDue = false;
    if (isHeld) return;
    drawnAt = performance.now();
    showState();
    if (!store.isTold) return;
    show();
    showTime();
    if (store.ticks.length) screen.update();
    Object.assign(document.body.dataset, { tick: newest(), shown: Math.floor(store.now), screen: location.hash.slice(1) });
    if (store.plays && playedFrom == null) requestAnimationFrame(advance);
  }), Math.max(0, drawnAt + FRAME_MS - performance.now()));
}

window.addEventListener("pointerdown", () => { isHeld = true; });
for (const release of ["pointerup", "pointercancel"]) window.addEventListener(release, () => { isHeld = false; setTimeout(render, 0); });
window.addEventListener("hashchange", () => { shown = null; render(); });
window.addEventListener("resize", render);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
at("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
onChange(render);
listen();
