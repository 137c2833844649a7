// Reads the bytes that were signed: MessagePack of integers, texts, bytes and arrays, as `protocol/codec.py` writes them.

const PART = ["feeder", "tick", "session"], TRANCHE = ["relief_w", "ask_nanos_per_kwh_h"];
// By the number on the wire: the messages that travel sealed, and the names of their fields in order.
const KINDS = {
  1: ["Mandate", ["session", "session_id", "need_ws", "max_w", "payee", "departure_ms"]],
  4: ["ReliefCall", ["feeder", "tick", "need_w", "from_ms", "until_ms", "offers_due_ms"]],
  5: ["Offer", [...PART, "tranches"]],
  6: ["Award", [...PART, "until_ms", "award_w", "price_nanos_per_kwh_h", "rent_cap_s"]],
  9: ["Delivery", [...PART, "delivered_ws", "baseline_ws", "returned_ws", "rent"]],
  10: ["Receipt", [...PART, "nanos"]],
};

class Bytes {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  // An integer of so many bytes; one that JavaScript's numbers do not hold stays a BigInt.
  integer(size, signed) {
    const from = this.at, kind = signed ? "Int" : "Uint";
    this.at += size;
    if (size < 8) return this.view[`get${kind}${8 * size}`](from);
    const big = this.view[`getBig${kind}64`](from), number = Number(big);
    return Number.isSafeInteger(number) ? number : big;
  }

  piece(size) {
    if (this.at + size > this.bytes.length) throw new RangeError("the bytes end too early");
    return this.bytes.subarray(this.at, this.at += size);
  }

  text = (size) => new TextDecoder("utf-8", { fatal: true }).decode(this.piece(size));
  raw = (size) => Array.from(this.piece(size), (byte) => byte.toString(16).padStart(2, "0")).join("");
  array = (size) => Array.from({ length: size }, () => this.value());

  value() {
    const tag = this.integer(1, false);
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    if (tag >= 0x90 && tag < 0xa0) return this.array(tag & 0x0f);
    if (tag >= 0xa0 && tag < 0xc0) return this.text(tag & 0x1f);
    if (tag === 0xc0) return null;
    if (tag >= 0xcc && tag <= 0xcf) return this.integer(1 << (tag - 0xcc), false);
    if (tag >= 0xd0 && tag <= 0xd3) return this.integer(1 << (tag - 0xd0), true);
    const sized = { 0xc4: [this.raw, 1], 0xc5: [this.raw, 2], 0xd9: [this.text, 1], 0xda: [this.text, 2], 0xdc: [this.array, 2] }[tag];
    if (!sized) throw new RangeError(`no message holds a value of kind ${tag}`);
    return sized[0](this.integer(sized[1], false));
  }
}

// A signed message's kind and its fields by name; those that only a newer version knows have numbers. Throws if it is none.
export function opened(payload) {
  const bytes = new Bytes(payload), [version, message] = bytes.value();
  const [kind, names] = KINDS[version === 1 ? message[0] : NaN] ?? [];
  if (!kind || bytes.at !== payload.length) throw new RangeError("no message that travels sealed");
  const named = (values) => Object.fromEntries(values.map((value, place) => [names[place] ?? `field ${place + 2}`, value]));
  const fields = named(message.slice(1));
  if (fields.tranches) fields.tranches = fields.tranches.map((one) => Object.fromEntries(TRANCHE.map((name, place) => [name, one[place]])));
  return { kind, fields };
}
