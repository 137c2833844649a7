// A round told step by step, as far as the run's journal holds every event. Of a signed message it shows what stands in the
// signed bytes, read here; who sent it to whom and when, and what is not signed, is what the run's journal says.
import { signedBy, unhex, whyNot } from "./crypto.js";
import { h } from "./dom.js";
import { lookUp } from "./look_up.js";
import { opened } from "./messages.js";
import { store } from "./store.js";
import { clock, fields, plural, says } from "./words.js";

export class Transcript {
  constructor(tick) {
    this.element = h("div", {}, h("p", { class: "soft" }, "Looking it up …"));
    this.tick = tick;
    if (store.head.no_look_up) this.element.replaceChildren(h("p", { class: "soft" }, `Not kept. ${store.head.no_look_up}`));
    else this.load();
  }

  async load() {
    const { found, why } = await lookUp(`transcript/${store.feeder}/${this.tick}`);
    if (!found) {
      this.element.replaceChildren(h("p", { class: "soft" }, `Not kept: ${why}.`));
      return;
    }
    this.steps = found.steps;
    this.ask();
    if (found.breaks_off_tick !== null && store.state !== "running") {
      const at = clock(found.breaks_off_tick, true);
      this.element.prepend(h("p", { class: "bad", role: "note" }, `The journal breaks off at ${at}: what was said after it is missing here.`));
    }
  }

  // Whose messages: those of one charger and its car, first of one that got an award.
  ask() {
    const chargers = [...new Set(this.steps.flatMap((step) => [step.sender, step.to]).filter((name) => name.includes("charger/")))].sort();
    if (!chargers.length) {
      this.element.replaceChildren(h("p", { class: "soft" }, "The journal holds no message of this round."));
      return;
    }
    const awarded = this.steps.find((step) => step.kind === "Award")?.to;
    const whose = h("select", { id: "whose" }, chargers.map((name) => h("option", { value: name, selected: name === awarded }, name.replace("charger/", ""))));
    this.list = h("ol", { class: "steps" });
    this.next = h("button", { type: "button", onclick: () => this.show(this.shown + 1) }, "Next step");
    this.all = h("button", { type: "button", onclick: () => this.show(Infinity) }, "All steps");
    this.later = h("span", { class: "soft" });
    whose.addEventListener("change", () => { this.pick(whose.value); });
    this.element.replaceChildren(h("div", { class: "form" }, h("label", {}, "Charger ", whose), this.next, this.all, this.later), this.list);
    this.pick(whose.value);
  }

  pick(charger) {
    this.mine = this.steps.filter((step) => step.sender === charger || step.to === charger).map((step) => this.step(step));
    this.show(1);
  }

  show(count) {
    this.wanted = count;
    this.update();
  }

  // The first steps, as many as were asked for and had arrived by the moment that is shown.
  update() {
    if (!this.mine) return;
    const until_ms = (Math.floor(store.now) + 1) * store.head.tick_ms, known = this.mine.filter((step) => step.at_ms < until_ms);
    this.shown = Math.min(this.wanted, known.length);
    this.next.disabled = this.all.disabled = this.shown === known.length;
    const later = this.mine.length - known.length;
    this.later.textContent = `${plural(known.length, "message")} until ${clock(store.now)}${later ? `, ${later} after it` : ""}`;
    const had = this.list.childElementCount;
    if (had > this.shown) this.list.replaceChildren();
    this.list.append(...known.slice(this.list.childElementCount, this.shown).map((step) => step.element));
  }

  // A message with its signature, which is checked here once.
  step(step) {
    const name = (agent) => agent.replace("charger/", "charger ").replace("vehicle/", "car ");
    const inside = Object.entries(step.inside ?? {}), relayed = inside.map(([field]) => field);
    const read = step.signed ? readFrom(step.signed)
      : { kind: step.kind, fields: Object.fromEntries(Object.entries(step.fields).filter(([field]) => !relayed.includes(field))) };
    return {
      at_ms: step.at_ms,
      element: h("li", {}, h("span", { class: "soft" }, `${clock(step.at_ms / store.head.tick_ms, true)} `),
        h("b", {}, `${name(step.sender)} → ${name(step.to)} `), says({ sender: step.sender, kind: read.kind }),
        h("code", {}, fields(read.fields).join(" · ")), step.signed ? signature(step.signed) : h("span", { class: "soft" }, "not signed"),
        inside.map(([field, signed]) => h("div", { class: "inside" }, `inside: ${RELAYED[field] ?? field}`,
          h("code", {}, fields(readFrom(signed).fields).join(" · ")), signature(signed)))),
    };
  }
}

// What a message relays, by the field that holds it.
const RELAYED = { offer: "the car's offer", vehicle: "what the car counted", charger: "what the charger counted" };

// What stands in signed bytes.
function readFrom(signed) {
  try {
    return opened(unhex(signed.payload));
  } catch (error) {
    return { kind: "", fields: { "its signed bytes": error.message } };
  }
}

// Whether these bytes were signed with this key. Whose key it is, nothing here proves.
function signature({ public_key: key, network, payload, signature: signed }) {
  const place = h("span", { class: "soft", title: `public key ${key}` }, "checking the signature …"), short = `${key.slice(0, 16)}…`;
  whyNot().then(async (problem) => {
    if (problem) { place.textContent = problem; return; }
    const good = await signedBy(key, unhex(payload), signed, network);
    place.className = good ? "good" : "bad";
    place.textContent = good ? `✓ signed with the key ${short}, checked here` : `✗ WRONG signature: the message was altered, or signed with another key than ${short}`;
  });
  return place;
}
