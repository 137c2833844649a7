// Checks in the browser's own crypto what agents and sites signed: Ed25519 over a BLAKE2b digest, as the project does.

const MASK = (1n << 64n) - 1n;
const START = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const SIGMA = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d", "2c6a0b834d75fe19",
  "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0", "0123456789abcdef", "ea489fd61c02b753",
].map((row) => [...row].map((digit) => parseInt(digit, 16)));
const MIXES = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

const turned = (value, bits) => ((value >> bits) | (value << (64n - bits))) & MASK;

function mix(v, [a, b, c, d], x, y) {
  v[a] = (v[a] + v[b] + x) & MASK; v[d] = turned(v[d] ^ v[a], 32n);
  v[c] = (v[c] + v[d]) & MASK; v[b] = turned(v[b] ^ v[c], 24n);
  v[a] = (v[a] + v[b] + y) & MASK; v[d] = turned(v[d] ^ v[a], 16n);
  v[c] = (v[c] + v[d]) & MASK; v[b] = turned(v[b] ^ v[c], 63n);
}

// BLAKE2b with 32 bytes, RFC 7693.
export function blake2b(bytes) {
  const state = START.slice(), blocks = Math.max(Math.ceil(bytes.length / 128), 1);
  state[0] ^= 0x01010020n;
  for (let block = 0; block < blocks; block++) {
    const padded = new Uint8Array(128), last = block === blocks - 1;
    padded.set(bytes.subarray(block * 128, block * 128 + 128));
    const view = new DataView(padded.buffer), words = Array.from({ length: 16 }, (_, word) => view.getBigUint64(word * 8, true));
    const v = [...state, ...START];
    v[12] ^= BigInt(last ? bytes.length : (block + 1) * 128);
    if (last) v[14] ^= MASK;
    for (const row of SIGMA) MIXES.forEach((place, number) => mix(v, place, words[row[2 * number]], words[row[2 * number + 1]]));
    for (let word = 0; word < 8; word++) state[word] ^= v[word] ^ v[word + 8];
  }
  const out = new DataView(new ArrayBuffer(32));
  for (let word = 0; word < 4; word++) out.setBigUint64(word * 8, state[word], true);
  return new Uint8Array(out.buffer);
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
export const utf8 = (text) => new TextEncoder().encode(text);

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

function uleb128(number) {
  const bytes = [];
  for (; number >= 128; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return Uint8Array.from([...bytes, number]);
}

// What is signed for a message on a network: IOTA's digest of a personal message with our tag.
export function digest(payload, network) {
  const name = utf8(network), text = joined(utf8("wattswap/1"), uleb128(name.length), name, payload);
  return blake2b(joined(Uint8Array.of(3, 0, 0), uleb128(text.length), text));
}

// Why nothing can be checked here; null if it can.
export async function whyNot() {
  if (!globalThis.crypto?.subtle) return "This browser lends its crypto only to pages of this machine or over HTTPS: open the page at 127.0.0.1 there, or through an SSH tunnel.";
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") return "This browser's crypto knows no Ed25519; Chromium 137, Firefox 129 and Safari 17 do.";
  }
  return null;
}

// Whether the owner of a key signed exactly these bytes for this network.
export async function signedBy(publicKey, payload, signature, network) {
  try {
    const key = await crypto.subtle.importKey("raw", unhex(publicKey), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, unhex(signature), digest(payload, network));
  } catch {
    return false;
  }
}
