// A round as a sequence of messages, step by step, as far as the run's journal holds every event.
import { signedBy, unhex, whyNot } from "./crypto.js";
import { h } from "./dom.js";
import { store } from "./store.js";
import { clock, fields, says } from "./words.js";

export class Transcript {
  constructor(tick) {
    this.element = h("div", {}, h("p", { class: "soft" }, "Looking it up …"));
    this.tick = tick;
    this.load();
  }

  async load() {
    let answer, told;
    try {
      answer = await fetch(`transcript/${store.feeder}/${this.tick}`);
      told = answer.ok ? await answer.json() : (await answer.text()).trim();
    } catch {
      told = "the run does not answer any more";
    }
    if (!answer?.ok) {
      this.element.replaceChildren(h("p", { class: "soft" }, `Not kept: ${told}.`));
      return;
    }
    this.steps = told;
    this.ask();
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
    whose.addEventListener("change", () => { this.pick(whose.value); });
    this.element.replaceChildren(
      h("div", { class: "form" }, h("label", {}, "Charger ", whose), this.next, this.all, h("span", { class: "soft" }, `${this.steps.length} messages in all`)),
      this.list);
    this.pick(whose.value);
  }

  pick(charger) {
    this.mine = this.steps.filter((step) => step.sender === charger || step.to === charger);
    this.show(1);
  }

  show(count) {
    this.shown = Math.min(count, this.mine.length);
    this.next.disabled = this.all.disabled = this.shown === this.mine.length;
    this.list.replaceChildren(...this.mine.slice(0, this.shown).map((step) => this.step(step)));
  }

  // Whether its author signed it: checked here, whatever the run or its server say.
  signature({ author, public_key: key, network, payload, signature }) {
    const place = h("span", { class: "soft" }, "checking the signature …");
    whyNot().then(async (problem) => {
      if (problem) { place.textContent = problem; return; }
      const good = await signedBy(key, unhex(payload), signature, network);
      place.className = good ? "good" : "bad";
      place.textContent = good ? `✓ signed by ${author}, checked here` : `the signature is not that of ${author}`;
    });
    return place;
  }

  step(step) {
    const name = (agent) => agent.replace("charger/", "charger ").replace("vehicle/", "car ");
    return h("li", {}, h("span", { class: "soft" }, `${clock(step.at_ms / store.head.tick_ms, true)} `),
      h("b", {}, `${name(step.sender)} → ${name(step.to)} `), says(step),
      h("code", {}, fields(step.fields).join(" · ")), step.signed ? this.signature(step.signed) : null);
  }
}
