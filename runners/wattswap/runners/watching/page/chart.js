// Time series on a canvas: stacked areas, lines and dots over a window of ticks, with hover, drag to zoom, and arrow keys.
import { h } from "./dom.js";
import { changed, moveTo, newest, store } from "./store.js";
import { clock } from "./words.js";

const LEFT = 56, RIGHT = 10, TOP = 8, BOTTOM = 22;
const HOURS = [1 / 60, 1 / 30, 1 / 12, 1 / 6, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, 24, 48];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The ticks that charts show: everything, with an hour to come while the street goes on, or a window that moves with the moment;
// of a street that is watched for the first minutes the window grows with what there is.
export function view() {
  const { head } = store, goesOn = head.is_live && store.state === "running" && !(store.ticks.length >= head.all_ticks && head.all_ticks);
  const end = goesOn ? Math.max(newest() + 1 + 3_600_000 / head.tick_ms, 120) : Math.max(store.ticks.length, 1);
  if (!store.view) return [0, end];
  if (Array.isArray(store.view)) return store.view;
  const most = store.head.is_reckoned ? Math.max((newest() + 1) / 0.6, 120) : Infinity;
  const ticks = Math.min(store.view * 3_600_000 / store.head.tick_ms, most);
  const from = Math.max(0, Math.min(store.now - ticks * 0.6, end - ticks));
  return [from, from + ticks];
}

export class TimeChart {
  // options: title, height, unit (value -> text), summary() -> text for who cannot see it, tip(tick) -> text
  constructor(options) {
    this.options = options;
    this.canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": options.title });
    this.tip = h("div", { class: "tip", hidden: true });
    this.element = h("div", { class: "chart" }, this.canvas, this.tip);
    this.canvas.style.height = `${options.height}px`;
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("pointerdown", (event) => { this.from = event.offsetX; });
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    this.canvas.addEventListener("dblclick", () => { store.view = null; changed(); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  tickAt(x) {
    const [from, to] = view();
    return Math.max(0, Math.min(newest(), Math.floor(from + (x - LEFT) / (this.width - LEFT - RIGHT) * (to - from))));
  }

  x(tick) {
    const [from, to] = view();
    return LEFT + (tick - from) / (to - from) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    const [low, high] = this.range;
    return TOP + (high - value) / (high - low) * (this.options.height - TOP - BOTTOM);
  }

  hover(event) {
    if (!store.ticks.length) return;
    const tick = this.tickAt(event.offsetX);
    this.tip.hidden = false;
    this.tip.textContent = `${clock(tick)}\n${this.options.tip(tick)}`;
    const right = event.offsetX > this.width / 2;
    this.tip.style.left = right ? "" : `${event.offsetX + 14}px`;
    this.tip.style.right = right ? `${this.width - event.offsetX + 14}px` : "";
  }

  // A click shows that moment, a drag that window.
  release(event) {
    if (this.from == null) return;
    const [one, other] = [this.tickAt(this.from), this.tickAt(event.offsetX)].sort((a, b) => a - b);
    if (Math.abs(event.offsetX - this.from) > 12 && other - one > 4) store.view = [one, other + 1];
    else moveTo(one);
    this.from = null;
    changed();
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: 20, PageDown: -20 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    moveTo(Math.round(store.now) + steps[event.key]);
  }

  // layers: {kind: area|line|path|dots, colour, values(tick) or points [[tick, value]], below(tick), isHatched, dashed}
  draw(layers) {
    const { height, unit } = this.options;
    this.width = this.element.clientWidth;
    if (!this.width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    this.range = this.extent(layers);
    this.axes(unit);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, this.width - LEFT - RIGHT, height - BOTTOM + 1);
    pen.clip();
    for (const layer of layers) this[layer.kind](layer);
    pen.restore();
    this.moment();
    this.canvas.setAttribute("aria-label", `${this.options.title}. ${this.options.summary()}`);
  }

  // Columns of a pixel's width, each with the ticks it stands for.
  columns() {
    const [from, to] = view(), pixels = Math.max(1, Math.round(this.width - LEFT - RIGHT));
    const width = Math.max(1, (to - from) / pixels), found = [];
    for (let tick = Math.max(0, from); tick < Math.min(to, store.ticks.length); tick += width)
      found.push([Math.floor(tick), Math.max(Math.floor(tick) + 1, Math.min(Math.floor(tick + width), store.ticks.length))]);
    return found;
  }

  most([from, to], values) {
    let most = -Infinity;
    for (let tick = from; tick < to; tick++) most = Math.max(most, values(tick));
    return most;
  }

  // The columns in stretches in which all of these values are known: where one is not, nothing is drawn.
  stretches(...values) {
    const found = [[]];
    for (const ticks of this.columns()) {
      if (values.some((each) => Number.isNaN(this.most(ticks, each)))) found.push([]);
      else found.at(-1).push(ticks);
    }
    return found.filter((columns) => columns.length);
  }

  extent(layers) {
    const [from, to] = view();
    let low = 0, high = 0;
    for (const layer of layers) {
      const values = layer.points
        ? layer.points.filter(([tick]) => tick >= from && tick < to).map(([, value]) => value)
        : this.columns().map((ticks) => this.most(ticks, layer.values));
      for (const value of values.filter((one) => !Number.isNaN(one))) { low = Math.min(low, value); high = Math.max(high, value); }
    }
    return [low * 1.05, high * 1.08 || 1];
  }

  axes(unit) {
    const { pen } = this, [low, high] = this.range, [from, to] = view();
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--soft");
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
      const y = Math.round(this.y(value)) + 0.5;
      pen.beginPath(); pen.moveTo(LEFT, y); pen.lineTo(this.width - RIGHT, y); pen.stroke();
      pen.fillText(unit(value), LEFT - 6, y);
    }
    const hour = 3_600_000 / store.head.tick_ms, most = Math.max(2, (this.width - LEFT) / 64);
    const every = (HOURS.find((hours) => (to - from) / (hours * hour) <= most) ?? 96) * hour;
    const midnight = -((store.head.start_ms + store.head.utc_offset_ms) % 86_400_000) / store.head.tick_ms;
    pen.textAlign = "center";
    for (let tick = midnight + Math.ceil((from - midnight) / every) * every; tick <= to; tick += every) {
      const x = this.x(tick);
      if (x < LEFT || x > this.width - RIGHT - 12) continue;
      pen.beginPath(); pen.moveTo(x, this.options.height - BOTTOM); pen.lineTo(x, this.options.height - BOTTOM + 4); pen.stroke();
      pen.fillText(clock(tick, false), x, this.options.height - BOTTOM / 2 + 2);
    }
  }

  area({ values, below = () => 0, colour: name, alpha = 1, isHatched = false }) {
    const { pen } = this;
    pen.globalAlpha = alpha;
    pen.fillStyle = isHatched ? this.hatch(colour(name)) : colour(name);
    for (const columns of this.stretches(values, below)) {
      pen.beginPath();
      for (const ticks of columns) this.edge(ticks, this.most(ticks, values));
      for (const ticks of columns.reverse()) this.edge(ticks, this.most(ticks, below), true);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  // Stripes from the lower left to the upper right.
  hatch(paint) {
    const stripes = h("canvas", { width: 6, height: 6 }), pen = stripes.getContext("2d");
    pen.strokeStyle = paint;
    pen.lineWidth = 2.5;
    for (const x of [-6, 0, 6]) { pen.moveTo(x - 1, 7); pen.lineTo(x + 7, -1); }
    pen.stroke();
    return this.pen.createPattern(stripes, "repeat");
  }

  edge([from, to], value, backwards = false) {
    const ends = backwards ? [to, from] : [from, to];
    for (const tick of ends) this.pen.lineTo(this.x(tick), this.y(value));
  }

  line({ values, colour: name, dashed = false, width = 2 }) {
    const { pen } = this;
    pen.strokeStyle = colour(name);
    pen.lineWidth = width;
    pen.setLineDash(dashed ? [5, 4] : []);
    for (const columns of this.stretches(values)) {
      pen.beginPath();
      for (const ticks of columns) this.edge(ticks, this.most(ticks, values));
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  path({ points, colour: name, width = 2 }) {
    const { pen } = this;
    pen.strokeStyle = colour(name);
    pen.lineWidth = width;
    pen.setLineDash([2, 3]);
    pen.beginPath();
    for (const [tick, value] of points) pen.lineTo(this.x(tick), this.y(value));
    pen.stroke();
    pen.setLineDash([]);
  }

  dots({ points, colour: name }) {
    const { pen } = this;
    pen.fillStyle = colour(name);
    for (const [tick, value] of points) {
      pen.beginPath(); pen.arc(this.x(tick + 0.5), this.y(value), 3.5, 0, 7); pen.fill();
    }
  }

  // Where we are: a line, and over what is still to come a veil while a finished run is played.
  moment() {
    const { pen } = this, x = this.x(store.now + 1), bottom = this.options.height - BOTTOM;
    if (x < LEFT || x > this.width - RIGHT + 1) return;
    if (store.plays) {
      pen.globalAlpha = 0.75;
      pen.fillStyle = colour("--paper");
      pen.fillRect(x, TOP, this.width - RIGHT - x, bottom - TOP);
      pen.globalAlpha = 1;
    }
    pen.strokeStyle = pen.fillStyle = colour("--ink");
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(x, 2); pen.lineTo(x, bottom); pen.stroke();
    pen.beginPath(); pen.moveTo(x - 5, 0); pen.lineTo(x + 5, 0); pen.lineTo(x, 7); pen.fill();
  }
}

// Buttons that choose how much time the charts show.
export function windowButtons() {
  const button = (text, hours) => h("button", {
    type: "button", "aria-pressed": String(store.view === hours), "data-hours": hours ?? "all",
    onclick: () => { store.view = hours; changed(); },
  }, text);
  return h("span", { class: "windows", role: "group", "aria-label": "Time shown" },
    ...(store.head.is_reckoned ? [button("all", null), button("1 h", 1), button("10 min", 1 / 6)] : [button("whole run", null), button("6 h", 6), button("1 h", 1)]));
}
