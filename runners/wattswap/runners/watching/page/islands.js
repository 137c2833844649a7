// Where a scenario has several feeders: all of them side by side, each an island with its own transformer and limit.
import { fill, h } from "./dom.js";
import { carAt, loadAt, newest, rounds, store, tickValue } from "./store.js";
import { calls as count, cars, clock, kw } from "./words.js";

// What a function finds on each feeder.
function onEach(look) {
  const shown = store.feeder;
  const found = store.head.feeders.map((feeder, number) => { store.feeder = number; return look(feeder, number); });
  store.feeder = shown;
  return found;
}

function island(feeder, number, tick) {
  const load = loadAt(tick), limit = tickValue(tick, "limit_w"), calls = rounds().filter((round) => round.tick <= tick);
  const plugged = store.cars.filter((card, row) => card.feeder === number && carAt(row, tick)?.here).length;
  return {
    over: load > limit,
    element: h("a", { class: `island ${load > limit ? "over" : ""}`, href: "#street", "data-feeder": number },
      h("b", {}, feeder.name || "the street"), h("span", { class: "load" }, `${kw(load)} of ${kw(limit)}`),
      h("meter", { min: 0, max: Math.max(limit, load || 0, 1), value: Math.max(load || 0, 0), "aria-label": `Load of ${feeder.name}` }),
      h("span", { class: "soft" }, `${cars(plugged)} plugged in, ${count(calls.length)}${calls.length ? `, last ${clock(calls.at(-1).tick)}` : ""}`)),
  };
}

export class Islands {
  constructor() {
    this.head = h("h2", {});
    this.list = h("div", { class: "islands" });
    this.list.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-feeder]");
      if (!chosen) return;
      store.feeder = Number(chosen.dataset.feeder);
      document.getElementById("feeder").value = chosen.dataset.feeder;
    });
    this.element = h("section", { "aria-label": "Islands" }, this.head, this.list);
  }

  update() {
    const tick = Math.min(Math.floor(store.now), newest()), found = onEach((feeder, number) => island(feeder, number, tick));
    const over = found.filter((one) => one.over).length;
    this.head.textContent = `${found.length} feeders at ${clock(tick)}: ${["none carries more than it may", "one carries more than it may"][over] ?? `${over} carry more than they may`}`;
    fill(this.list, found.map((one) => one.element));
  }
}
