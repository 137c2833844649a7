// The chain of signed meter records; each is checked here, in the browser, against one key and the record before. The key
// comes from the server: whoever wants to know that it is the site's compares it with one that came another way.
import { blake2b, hex, signedBy, utf8, whyNot } from "./crypto.js";
import { fill, h, table } from "./dom.js";
import { lookUp } from "./look_up.js";
import { changed, store } from "./store.js";
import { clock, kw, kwh, plural } from "./words.js";

const GOOD = "signed with one key and in order: checked here, in your browser";
const PAUSE_MS = 1_000, GENESIS = "00".repeat(32);

// The bytes that were signed stand within the line as they are.
const rawOf = (line) => line.slice('{"record":'.length, line.lastIndexOf(',"public_key":"'));

async function checked(line, before, site) {
  const faults = [];
  try {
    const { public_key: key, signature } = JSON.parse(line), record = JSON.parse(rawOf(line)); // what is shown is what was signed
    const payload = utf8(`wattswap/anchor\n${rawOf(line)}`);
    if (key !== site.public_key) faults.push("signed with another key");
    if (!await signedBy(site.public_key, payload, signature, site.network)) faults.push("not signed with this key");
    if (record.sequence === 0 && record.previous !== GENESIS) faults.push("it names a record before the first");
    if (before && record.previous !== hex(blake2b(utf8(before)))) faults.push("it does not follow the record before");
    return { record, faults, hash: hex(blake2b(utf8(line))) };
  } catch {
    return { record: { sequence: "?" }, faults: ["it is no record any more"], hash: "" };
  }
}

const at = (ms) => clock(ms / store.head.tick_ms, true);
const COLUMNS = [
  ["Record", (one) => String(one.record.sequence)],
  ["From", (one) => (one.record.from_ms == null ? "" : at(one.record.from_ms))],
  ["Until", (one) => (one.record.to_ms == null ? "" : at(one.record.to_ms))],
  ["Meters", (one) => String(one.record.count ?? ""), true],
  ["Readings", (one) => (one.record.readings ? h("details", {}, h("summary", {}, "shown"), one.record.readings.map(said)) : "proven, not shown")],
  ["Checked here", (one) => h("span", { class: one.faults.length ? "bad" : "good" }, one.faults.join("; ") || "✓ signed, in order")],
  ["Hash", (one) => h("code", { title: one.hash }, `${one.hash.slice(0, 12)}…`)],
];
// From when until when some records are, and whether there is nothing yet of the moment that is shown: a site signs later.
function periodOf(found, told) {
  const { record: last } = found.at(-1), { record: first } = found[0];
  if (first.from_ms == null || last.to_ms == null) return "";
  const isNewest = last.sequence === told.count - 1, isLate = store.now * store.head.tick_ms - last.to_ms > last.to_ms - last.from_ms;
  return `They hold what the meters showed from ${at(first.from_ms)} until ${at(last.to_ms)}.` +
    (isNewest && isLate ? ` Of the time since then, until ${clock(store.now)}, nothing is signed${store.state === "running" ? " yet" : ""}.` : "");
}
const said = (one) => h("div", {}, `${one.meter}: ${kw(one.import_w - one.export_w)}, register ${kwh(one.import_ws)} in, ${kwh(one.export_ws)} out`);

export class Readings {
  constructor() {
    this.head = h("h2", {}, "The readings that this site signed");
    this.older = h("button", { type: "button", id: "older", onclick: () => { this.browses = true; this.load(`readings/${this.site.first - 1}`); } }, "Older records");
    this.newest = h("button", { type: "button", id: "latest", onclick: () => { this.browses = false; this.loadMoment(); } }, "Records until this moment");
    this.period = h("p", { id: "period" });
    this.about = h("p", { class: "soft" });
    this.list = h("div", {});
    this.element = h("section", { "aria-label": "Readings" }, this.head, h("p", {}, "Each record names all meters of the street for a while, and the hash of the record before: whoever changes one breaks all that follow."),
      h("div", { class: "form" }, this.older, this.newest), this.period, this.about, this.list);
    this.loadedAt = -Infinity;
    if (store.head.no_look_up) this.element.replaceChildren(h("h2", {}, "No signed readings here"), h("p", {}, store.head.no_look_up));
  }

  // The records until the moment that is shown, looked up anew when it has moved, but not all the time.
  update() {
    if (store.head.no_look_up || this.browses || this.isLoading || this.tick === Math.floor(store.now)) return;
    const rest = this.loadedAt + PAUSE_MS - performance.now();
    if (rest > 0) {
      clearTimeout(this.timer);
      this.timer = setTimeout(changed, rest);
    } else this.loadMoment();
  }

  async loadMoment() {
    this.tick = Math.floor(store.now);
    this.isLoading = true;
    await this.load(`readings/until/${(this.tick + 1) * store.head.tick_ms}`);
    this.isLoading = false;
    this.loadedAt = performance.now();
    changed();
  }

  async load(path) {
    const { found: told, why } = await lookUp(path);
    this.older.disabled = this.newest.disabled = !told;
    if (!told) {
      this.about.textContent = `Nothing to show: ${why}.`;
      return;
    }
    this.site = told;
    this.older.disabled = told.first === 0;
    const problem = await whyNot();
    const offset = told.first > 0 ? 1 : 0, found = [];
    for (let place = offset; place < told.lines.length; place++) found.push(await checked(told.lines[place], told.lines[place - 1], told));
    if (!found.length) {
      this.head.textContent = `No record was signed until ${clock(store.now)}`;
      this.period.textContent = "";
      this.list.replaceChildren();
      return;
    }
    this.period.textContent = periodOf(found, told);
    const wrong = found.filter((one) => one.faults.length).length;
    this.head.textContent = problem ? "Nothing can be checked in this browser" :
      found.length === 1 ? `This record is ${wrong ? "not as it was signed" : GOOD}`
        : wrong ? `${wrong} of these ${found.length} records ${wrong === 1 ? "is not as it was" : "are not as they were"} signed`
          : `These ${found.length} records are ${GOOD}`;
    const where = /^https?:/.test(told.ledger) ? h("a", { href: told.ledger, rel: "noreferrer noopener", target: "_blank" }, told.ledger) : told.ledger || "no ledger";
    this.about.replaceChildren(problem ?? "", ` ${plural(told.count, "record")} of ${told.site}, anchored on `, where, `, signed with the key `, h("code", { id: "key", class: "address" }, told.public_key),
      ". The run's server says that it is the site's; to be sure, compare it with the key that the site gave you.",
      found.some((one) => !one.record.readings) ? " Readings are proven by a hash and not shown; a run with --set ledger.anchor=full shows them." : "");
    fill(this.list, table(COLUMNS, found.reverse(), "Signed records, newest first"));
  }
}
