// A car in another language: Node.js with zeromq, @msgpack/msgpack and @noble/hashes, written from docs/wire.md alone.
// It always gives way for next to nothing, counts with its own meter, and prints what it is paid.
//
//     node foreign_car.mjs KEYS HOST PORT BEAT_MS

import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(process.env.WATTSWAP_NODE_MODULES + "/");
const zmq = require("zeromq");
const { encode, decode } = require("@msgpack/msgpack");
const { blake2b } = require("@noble/hashes/blake2.js");

const [HELLO, BUNDLE] = [1, 4];
const [MANDATE, CALL, OFFER, AWARD, RELEASE, DELIVERY, RECEIPT, SEALED, ACK] = [1, 4, 5, 6, 7, 9, 10, 12, 15];
const ASK_NANOS_PER_KWH_H = 1_000_000;
const LEAST_W = 4_140;

const [folder, host, port, beat] = process.argv.slice(2);
const beatMs = Number(beat);
const read = (...path) => JSON.parse(readFileSync(join(folder, ...path)));
const hex = (text) => Buffer.from(text, "hex");

function z85(bytes) {
  const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    let value = bytes.readUInt32BE(at);
    const group = [];
    for (let place = 0; place < 5; place += 1) {
      group.unshift(letters[value % 85]);
      value = Math.floor(value / 85);
    }
    text += group.join("");
  }
  return text;
}

function digest(payload) {
  const text = Buffer.concat([Buffer.from("wattswap/1"), Buffer.from([5]), Buffer.from("local"), payload]);
  const length = text.length < 128 ? [text.length] : [(text.length & 0x7f) | 0x80, text.length >> 7];
  return blake2b(Buffer.concat([Buffer.from([3, 0, 0, ...length]), text]), { dkLen: 32 });
}

const trusted = readdirSync(join(folder, "trusted"))
  .filter((name) => name.endsWith(".json"))
  .map((name) => read("trusted", name));
const me = read("public.json");
const charger = trusted.find((one) => one.role === "charger");
const above = trusted.find((one) => one.role === "transformer");
const pkcs8 = Buffer.concat([hex("302e020100300506032b657004220420"), hex(read("signing.key").secret_seed)]);
const signing = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
const spki = Buffer.concat([hex("302a300506032b6570032100"), hex(above.signing_key)]);
const transformer = createPublicKey({ key: spki, format: "der", type: "spki" });

const socket = new zmq.Dealer({
  linger: 0,
  curveServerKey: z85(hex(charger.transport_key)),
  curvePublicKey: z85(hex(me.transport_key)),
  curveSecretKey: z85(hex(read("transport.key").secret_key)),
});
socket.connect(`tcp://${host}:${port}`);

const epoch = Math.floor(Date.now() / 1000);
const second = beatMs / 1000;
const owed = new Map(); // what is repeated each beat until it is acknowledged
const lots = [];
let [seq, isWelcome, session, wantedW] = [0, false, null, 0];
let sending = Promise.resolve();

function send(frame) {
  sending = sending.then(() => socket.send(Buffer.from(encode(frame))));
}

function say(...messages) {
  seq += 1;
  send([BUNDLE, 1, epoch, seq, messages.map((message) => [me.name, charger.name, encode([1, message])])]);
}

function sealed(message) {
  const payload = Buffer.from(encode([1, message]));
  return [SEALED, message[0], payload, sign(null, digest(payload), signing)];
}

function owe(key, message) {
  owed.set(key, sealed(message));
  say(owed.get(key));
}

function onEvent([tag, ...fields]) {
  if (tag === 3) {
    const [number, id, , needWs, , maxW] = fields;
    session = number;
    owe(MANDATE, [MANDATE, session, id, needWs, maxW, me.name, null]);
  } else if (tag === 4 && fields[0] === session) {
    session = null;
    deliver(lots.filter((lot) => !lot.told));
  } else if (tag === 5 && fields[0] === session) {
    const [, importW, , baselineW, , tick] = fields;
    count(importW, baselineW, tick);
  } else if (tag === 6 && fields[0] === session) {
    wantedW = fields[4];
  }
}

function onMessage([tag, ...fields]) {
  if (tag === SEALED) {
    const [, payload, signature] = fields;
    if (!verify(null, digest(Buffer.from(payload)), transformer, signature)) throw new Error("not the transformer's");
    onSealed(decode(payload)[1]);
  } else if (tag === ACK && fields[0] === MANDATE) {
    owed.delete(MANDATE);
  } else if (tag === RELEASE) {
    const [, tick, number] = fields;
    for (const lot of lots) lot.runs &&= lot.tick !== tick || lot.session !== number;
  }
}

function onSealed([tag, feeder, tick, number, ...fields]) {
  if (tag === CALL && session !== null) {
    const reliefW = Math.max(0, wantedW - LEAST_W);
    say(sealed([OFFER, feeder, tick, session, reliefW ? [[reliefW, ASK_NANOS_PER_KWH_H]] : []]));
  } else if (tag === AWARD) {
    const [untilMs, awardW] = fields;
    say([ACK, AWARD, number, tick]);
    if (lots.some((lot) => lot.feeder === feeder && lot.tick === tick && lot.session === number)) return;
    for (const lot of lots) lot.runs = false;
    const part = { feeder, tick, session: number, ends: Math.floor(untilMs / beatMs), awardW };
    lots.push({ ...part, runs: true, told: false, sold: 0, owed: 0, baseline: 0, rent: 0 });
  } else if (tag === RECEIPT) {
    if (owed.delete(`${feeder}/${tick}/${number}`)) {
      process.stdout.write(JSON.stringify({ event: "receipt", nanos: fields[0] }) + "\n");
    }
  }
}

function count(importW, baselineW, tick) {
  let back = Math.max(0, importW - baselineW) * second;
  for (const lot of lots.filter((one) => !one.told)) {
    if (lot.runs) {
      const givenUp = Math.min(lot.awardW[0], Math.max(0, baselineW - importW)) * second;
      lot.sold += givenUp;
      lot.owed += givenUp;
      lot.baseline += baselineW * second;
      lot.runs = tick + 1 < lot.ends;
    }
    const returned = Math.min(back, lot.owed);
    back -= returned;
    lot.owed -= returned;
    lot.rent += returned * Math.max(0, tick - lot.tick);
  }
  deliver(lots.filter((lot) => !lot.runs && !lot.told && lot.owed < second));
}

function deliver(ended) {
  for (const lot of ended) {
    lot.told = true;
    const delivered = [lot.sold, ...lot.awardW.slice(1).map(() => 0)];
    const part = [lot.feeder, lot.tick, lot.session];
    owe(part.join("/"), [DELIVERY, ...part, delivered, lot.baseline, lot.sold - lot.owed, lot.rent]);
  }
}

setInterval(() => {
  if (isWelcome) say(...owed.values());
  else send([HELLO, 1, epoch, beatMs, [me.name]]);
}, beatMs);

for await (const [bytes] of socket) {
  const [kind, , , , content] = decode(bytes);
  if (kind === 1 || kind === 2) isWelcome = true;
  else if (kind === 3) isWelcome = false;
  else if (kind === 4) for (const [, , message] of content) onMessage(decode(message)[1]);
  else if (kind === 5) for (const [, , event] of content) onEvent(event);
}
