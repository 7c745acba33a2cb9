// Making elements. Words only ever go in as text.

// el makes an element: el("div", {class: "x", onclick: f}, "text", child …).
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  set(e, attributes);
  add(e, children);
  return e;
}

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes, ...children) {
  const e = document.createElementNS(SVG, tag);
  set(e, attributes);
  add(e, children);
  return e;
}

function set(e, attributes) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(e.dataset, value);
    else e.setAttribute(name, value === true ? "" : value);
  }
}

function add(e, children) {
  for (const c of children.flat(Infinity)) {
    if (c === undefined || c === null || c === false) continue;
    e.append(c instanceof Node ? c : plain(c));
  }
}

const $ = (id) => document.getElementById(id);
const clear = (e) => (e.replaceChildren(), e);

// mark is a result as a sign, with its name for those who do not see it.
function mark(result, text) {
  const r = resultOf(result);
  return el("span", { class: "mark " + (RESULTS[result] ? result : "skip") },
    el("span", { class: "sign", "aria-hidden": "true" }, r.sign), " ", text ?? r.name);
}

// itemLink opens an item, by name.
function itemLink(id, items, extra) {
  const i = items.get(id);
  if (!i) return el("span", { class: "link gone" }, el("span", { class: "sign" }, "·"), " ", id);
  return el("button", { type: "button", class: "link " + i.result, onclick: () => show(i) },
    el("span", { class: "sign", "aria-hidden": "true" }, resultOf(i.result).sign),
    el("span", { class: "unseen" }, resultOf(i.result).name), " ", i.id, extra ? el("small", {}, " ", extra) : null);
}

// colour is what a CSS variable comes to now, for the canvas.
function colour(name) {
  const probe = el("i", { class: "probe probe-" + name });
  document.body.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
}
