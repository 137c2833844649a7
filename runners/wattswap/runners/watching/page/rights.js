// Whoever came by an address with a token may order something: the operator a limit, a driver what the own car does.
// The token came in the URL's fragment, which no server is told; it stays in this window alone.
import { h, unescaped } from "./dom.js";
import { newest, store, tickValue } from "./store.js";
import { clock, kw, kwh } from "./words.js";

// An address may be opened in a window that shows the page already.
function keepToken() {
  const given = /^#(?:operator=(?<operator>[\w-]+)|driver=(?<driver>[\w-]+)&car=(?<car>.+))$/.exec(location.hash)?.groups;
  if (given?.operator) {
    sessionStorage.setItem("operator", given.operator);
    history.replaceState(null, "", "#street");
  } else if (given) {
    sessionStorage.setItem(`driver/${unescaped(given.car)}`, given.driver);
    history.replaceState(null, "", `#driven/${given.car}`);
  }
}

keepToken();
window.addEventListener("hashchange", keepToken); // before the page looks which screen that is

// What came of an order, as text; `done` where it was carried out.
async function post(path, token, body, done) {
  try {
    const reply = await fetch(path, {
      method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    return reply.ok ? await done(reply) : `refused: ${(await reply.text()).trim()}`;
  } catch {
    return "not sent: the run does not answer";
  }
}

// A form with a slider and two buttons; nothing for whoever has no token, or where nobody can set the limit. Until it is
// touched, and once an order was sent, the slider shows the limit in force: `follow` is to be called again and again.
export function limitForm() {
  const token = sessionStorage.getItem("operator"), most = store.head.feeders[store.feeder].most_limit_w;
  if (!token || !most) return null;
  const said = h("output", { "aria-live": "off" }), answer = h("span", { role: "status" });
  const slider = h("input", { type: "range", id: "limit", min: 0, max: most, step: 1000, "aria-label": "Limit in kilowatts" });
  const show = () => { said.textContent = kw(Number(slider.value)); slider.setAttribute("aria-valuetext", said.textContent); };
  let isTouched = false;
  const follow = () => {
    element.hidden = store.state !== "running";
    if (isTouched) return;
    slider.value = tickValue(newest(), "limit_w");
    show();
  };
  const send = async (limit) => {
    isTouched = false;
    answer.textContent = await post("limit", token, { feeder: store.feeder, limit_w: limit },
      () => (limit === null ? "the scenario's limit holds again" : `ordered: ${kw(limit)}`));
  };
  slider.addEventListener("input", () => { isTouched = true; show(); });
  const element = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); send(Number(slider.value)); } },
    h("label", { for: "limit" }, "Limit from now on"), slider, said, h("button", { type: "submit", id: "order" }, "Set the limit"),
    h("button", { type: "button", id: "unorder", onclick: () => send(null) }, "Back to the scenario's limit"), answer);
  follow();
  return { element, follow };
}

// What a driver may say; for the operator, a button that shows the driver's address; for everybody else nothing.
export function driverForm(card, row) {
  if (!store.head.hears_drivers) return null;
  const driver = sessionStorage.getItem(`driver/${card.vehicle}`), operator = sessionStorage.getItem("operator");
  if (driver) return sayings(card, row, driver);
  return operator ? addressForm(card, operator) : null;
}

function sayings(card, row, token) {
  const answer = h("span", { role: "status" }), by = h("input", { type: "time", id: "by", value: "07:00", required: true });
  const range = h("input", { type: "number", id: "range", min: 0, max: Math.floor(store.cars[row].battery_wh / store.head.wh_per_km), value: 60, required: true });
  const say = async (wish, figures = {}) => {
    answer.textContent = "sent …";
    answer.textContent = await post("wish", token, { session: card.session, wish, ...figures }, () => "the car has been told");
  };
  const button = (id, text, title) => h("button", { type: "button", id, title, onclick: () => say(id) }, text);
  return h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); say("full-by", { by_ms: nextMs(by.value) }); } },
    h("b", {}, "Your car:"), button("veto", "Charge now, sell nothing", "Charge at once all that it still needs"),
    button("stop", "Stop selling", "Answer no call any more; what was put off comes when there is room"),
    button("sell", "Sell again", "Decide by itself again"),
    h("span", { class: "pair" }, h("label", {}, "Full by ", by), h("button", { type: "submit", id: "full-by" }, "Set")),
    h("span", { class: "pair" }, h("label", { title: "So much it charges before it gives way, and keeps when it feeds" }, "At least ", range, " km"),
      h("button", { type: "button", id: "at-least", onclick: () => range.reportValidity() && say("at-least", { least_wh: Number(range.value) * store.head.wh_per_km }) }, "Set")),
    answer);
}

// The next time at which the street's clocks show this, in the run's milliseconds.
function nextMs(text) {
  const { head } = store, day_ms = 86_400_000, [hours, minutes] = text.split(":").map(Number);
  const now_ms = (newest() + 1) * head.tick_ms, midnight_ms = (head.start_ms + head.utc_offset_ms) % day_ms;
  const at_ms = (hours * 60 + minutes) * 60_000 - midnight_ms;
  return at_ms + Math.ceil((now_ms - at_ms) / day_ms) * day_ms;
}

function addressForm(card, token) {
  const answer = h("output", { class: "address" });
  const show = async () => {
    answer.textContent = await post("driver", token, { session: card.session }, async (reply) => {
      const found = await reply.json();
      return `${location.origin}/#driver=${found.token}&car=${encodeURIComponent(found.vehicle)}`;
    });
  };
  return h("div", { class: "form" }, h("button", { type: "button", id: "address", onclick: show }, "Show its driver's address"), answer);
}

// What the driver of a session wants at a tick; null if nothing was said, or to sell again as at first.
export function wishAt(row, tick) {
  const wish = store.wishes.filter((one) => one.row === row && one.tick <= tick).at(-1);
  if (!wish) return null;
  const by = Math.ceil(wish.departure_ms / store.head.tick_ms), isStated = by === store.cars[row].departure_tick;
  return { ...wish, by, isStated, isAtOnce: by <= wish.tick && !isStated };
}

// The same in words.
export function wished(row, tick) {
  const wish = wishAt(row, tick);
  if (!wish) return null;
  const wants = [
    wish.isAtOnce ? "charge at once" : wish.isStated ? null : `be full by ${clock(wish.by)}`,
    wish.sells && wish.least_wh ? `keep ${kwh(wish.least_wh * 3600)} in the battery` : null,
    wish.sells ? null : "sell nothing",
  ].filter(Boolean);
  return `At ${clock(wish.tick)} its driver said: ${wants.join(", and ") || "decide by itself again"}.`;
}
