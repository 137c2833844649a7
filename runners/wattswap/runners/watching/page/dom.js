// The few elements the page is made of. Texts become text nodes, so nothing that a run holds is ever read as HTML.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

// What stands in an address; as it is if nobody can read it.
export function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const tile = (title, value, more = "", kind = "") =>
  h("div", { class: `tile ${kind}` }, h("span", {}, title), h("b", {}, value), h("span", {}, more));

// A table: columns are [title, cell of a row, is a figure]. On a phone a row is a few lines, each cell with its title; what is
// laid out so is no table to a screen reader any more, unless it says so itself.
export function table(columns, rows, caption) {
  const head = columns.map(([title, , figure]) => h("th", { scope: "col", role: "columnheader", class: figure ? "n" : "" }, title));
  const body = rows.map((row) =>
    h("tr", { role: "row" }, columns.map(([title, cell, figure]) =>
      h("td", { role: "cell", "data-title": title, class: figure ? "n" : "" }, cell(row) ?? ""))));
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { role: "table", "aria-label": caption }, h("thead", {}, h("tr", { role: "row" }, head)), h("tbody", {}, body)));
}

// Put new content in place of old, if it differs; what had the keyboard's focus has it again.
export function fill(place, ...children) {
  const fresh = h("div", {}, ...children);
  if (fresh.innerHTML === place.innerHTML) return;
  const focused = place.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  place.replaceChildren(...fresh.childNodes);
  if (focused) [...place.querySelectorAll("a, button, [tabindex]")].find((one) => keyOf(one) === focused)?.focus();
}

const keyOf = (element) => element.getAttribute("href") ?? element.textContent;
