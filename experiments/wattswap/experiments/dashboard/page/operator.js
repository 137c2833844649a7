// Whoever came by the operator's address may move the limit. The token came in the URL's fragment, which no server is told.
import { h } from "./dom.js";
import { newest, store, tickValue } from "./store.js";
import { kw } from "./words.js";

const given = /^#operator=([\w-]+)$/.exec(location.hash);
if (given) {
  sessionStorage.setItem("operator", given[1]);
  history.replaceState(null, "", "#street");
}

// A form with a slider and two buttons; nothing for whoever has no token, or where nobody can set the limit.
export function limitForm() {
  const token = sessionStorage.getItem("operator"), most = store.head.feeders[store.feeder].most_limit_w;
  if (!token || !most) return null;
  const said = h("output", {}), answer = h("span", { role: "status" });
  const slider = h("input", { type: "range", id: "limit", min: 0, max: most, step: 1000, "aria-label": "Limit in kilowatts" });
  const show = () => { said.textContent = kw(Number(slider.value)); slider.setAttribute("aria-valuetext", said.textContent); };
  const send = async (limit) => {
    try {
      const reply = await fetch("limit", {
        method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify({ feeder: store.feeder, limit_w: limit }),
      });
      answer.textContent = reply.ok ? (limit === null ? "the scenario's limit holds again" : `ordered: ${kw(limit)}`)
        : `refused: ${(await reply.text()).trim()}`;
    } catch {
      answer.textContent = "not sent: the run does not answer";
    }
  };
  slider.value = tickValue(newest(), "limit_w");
  slider.addEventListener("input", show);
  show();
  return h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); send(Number(slider.value)); } },
    h("label", { for: "limit" }, "Limit"), slider, said, h("button", { type: "submit", id: "order" }, "Set the limit"),
    h("button", { type: "button", id: "unorder", onclick: () => send(null) }, "Back to the scenario's limit"), answer);
}
