// The driver's page: what the car does, asked every second, and what its driver says, each by a POST with the token.
// An address may be opened in a window that shows the page already.
let token;
function keepToken() {
  const given = /^#token=([0-9a-f]+)$/.exec(location.hash)?.[1];
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", "/");
  }
  token = sessionStorage.getItem("token");
}
keepToken();
window.addEventListener("hashchange", keepToken);
const at = (id) => document.getElementById(id);
const kilo = (value, digits) => (value / 1000).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const known = (value, unit, car) => (value == null ? (car.charger ? "not known" : "–") : `${kilo(value, 1)} ${unit}`);
const MOST_SILENT_MS = 3_000;
const time = (unixMs) => new Date(unixMs).toLocaleString("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });
const ask = (path, more = {}) => fetch(path, { ...more, headers: { authorization: `Bearer ${token}`, ...more.headers } });

function says(car) {
  if (car.is_silent) return `${car.car}: no news any more${car.charger ? ` from its charger, ${car.charger}` : ""}; what it does is not known`;
  if (!car.charger) return `${car.car} is not plugged in`;
  if (car.missing_wh == null || car.power_w == null) return `${car.car} is plugged in at ${car.charger}, which has not said yet what it draws`;
  if (car.power_w < 0) return `${car.car} feeds ${kilo(-car.power_w, 1)} kW into the street, at ${car.charger}`;
  if (car.power_w > 0) return `${car.car} charges at ${car.charger}`;
  return car.missing_wh ? `${car.car} waits at ${car.charger}` : `${car.car} is full, at ${car.charger}`;
}

function wants(car) {
  if (!car.charger) return "";
  const by = car.full_by_unix_ms > Date.now() ? `is to be full by ${time(car.full_by_unix_ms)}` : "charges at once all that it needs";
  return `It ${by}, ${car.sells ? "and gives way for pay" : "and sells nothing"}${car.least_wh ? `, but only with at least ${kilo(car.least_wh, 0)} kWh in the battery` : ""}.`;
}

async function look() {
  try {
    const reply = await ask("car", { signal: AbortSignal.timeout(MOST_SILENT_MS) }); // a node that is frozen never answers
    if (!reply.ok) {
      at("says").textContent = (await reply.text()).trim();
      return;
    }
    const car = await reply.json();
    at("says").textContent = says(car);
    at("power").textContent = known(car.power_w, "kW", car);
    at("missing").textContent = known(car.missing_wh, "kWh", car);
    at("stored").textContent = car.capacity_wh && car.stored_wh != null ? `${kilo(car.stored_wh, 0)} of ${kilo(car.capacity_wh, 0)} kWh` : "–";
    at("earned").textContent = `${(car.earned_nanos / 1e9).toFixed(3)} IOTA`;
    at("wants").textContent = wants(car);
    at("least").max = car.capacity_wh / 1000;
  } catch {
    at("says").textContent = "The car does not answer; trying again …";
    for (const id of ["power", "missing", "stored"]) at(id).textContent = "not known";
  }
}

async function say(wish, figures = {}) {
  at("answer").textContent = "sent …";
  try {
    const reply = await ask("wish", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ wish, ...figures }) });
    at("answer").textContent = reply.ok ? (await reply.text()).trim() : `refused: ${(await reply.text()).trim()}`;
  } catch {
    at("answer").textContent = "not sent: the car does not answer";
  }
  look();
}

// The next time at which this device's clock shows it.
function next(text) {
  const [hours, minutes] = text.split(":").map(Number), then = new Date();
  then.setHours(hours, minutes, 0, 0);
  if (then <= new Date()) then.setDate(then.getDate() + 1);
  return then.getTime();
}

for (const button of document.querySelectorAll("[data-wish]")) button.addEventListener("click", () => say(button.dataset.wish));
at("wishes").addEventListener("submit", (event) => { event.preventDefault(); say("full-by", { by_unix_ms: next(at("by").value) }); });
at("keep").addEventListener("click", () => at("least").reportValidity() && say("at-least", { least_wh: Math.round(at("least").value * 1000) }));
look();
setInterval(look, 1000);
