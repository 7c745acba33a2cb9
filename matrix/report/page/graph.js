// The graph of what needs what: of the recipes as an overview, and around one job.

const NODE = { width: 190, height: 26, across: 70, down: 8 };
const MOST_NODES = 250;

// layered places nodes in columns, what is needed to the left, and orders each
// column by where the neighbours are.
function layered(ids, needs) {
  const known = new Set(ids), layer = new Map(), state = new Map();
  const arrows = new Map(ids.map((id) => [id, [...new Set(needs(id))].filter((n) => known.has(n) && n !== id)]));
  // Depth first without recursion; an arrow back into the path is left out, as
  // recipes may need each other though jobs do not.
  for (const start of ids) {
    if (state.has(start)) continue;
    state.set(start, "on the path");
    for (const path = [[start, 0]]; path.length;) {
      const top = path.at(-1), [id, k] = top, list = arrows.get(id);
      if (k === list.length) {
        layer.set(id, list.reduce((m, n) => Math.max(m, layer.get(n) + 1), 0));
        state.set(id, "done");
        path.pop();
      } else if (state.get(list[k]) === "on the path") {
        list.splice(k, 1);
      } else {
        top[1]++;
        if (state.has(list[k])) continue;
        state.set(list[k], "on the path");
        path.push([list[k], 0]);
      }
    }
  }
  const columns = [];
  for (const id of ids) (columns[layer.get(id)] ||= []).push(id);
  const users = new Map(ids.map((id) => [id, []]));
  for (const [id, list] of arrows) for (const n of list) users.get(n).push(id);
  const place = new Map();
  const settle = (column) => column.forEach((id, k) => place.set(id, k - column.length / 2));
  columns.forEach(settle);
  for (let pass = 0; pass < 4; pass++) {
    const forward = pass % 2 === 0, order = forward ? columns : [...columns].reverse();
    for (const column of order) {
      const near = (id) => {
        const list = forward ? arrows.get(id) : users.get(id);
        return list.length ? list.reduce((s, n) => s + place.get(n), 0) / list.length : place.get(id);
      };
      const want = new Map(column.map((id) => [id, near(id)]));
      column.sort((a, b) => want.get(a) - want.get(b));
      settle(column);
    }
  }
  return { columns, arrows };
}

// reduced leaves out arrows that a longer way says too, except those at one node.
function reduced(columns, arrows, keep) {
  const below = new Map(), direct = new Map();
  for (const id of columns.flat()) {
    const far = new Set();
    for (const n of arrows.get(id)) for (const m of below.get(n)) far.add(m);
    direct.set(id, arrows.get(id).filter((n) => !far.has(n) || n === keep || id === keep));
    for (const n of arrows.get(id)) far.add(n);
    below.set(id, far);
  }
  return direct;
}

class Graph {
  constructor() {
    this.recipes = new Map();
    for (const j of jobs) {
      let r = this.recipes.get(j.raw.recipe);
      if (!r) this.recipes.set(j.raw.recipe, r = { id: j.raw.recipe, title: j.raw.recipe, group: j.group, jobs: [], needs: new Set() });
      r.jobs.push(j);
      for (const n of j.needs) if (jobByID.has(n)) r.needs.add(jobByID.get(n).raw.recipe);
    }
    for (const r of this.recipes.values()) r.result = worst(r.jobs.map((j) => j.result));
    this.center = null;
    this.levels = el("select", { "aria-label": "How far", onchange: () => this.draw() }, [["1", "1 step"], ["2", "2 steps"], ["3", "3 steps"], ["99", "all steps"]].map(([v, t]) => el("option", { value: v }, t)));
    this.levels.value = "2";
    this.back = el("button", { type: "button", onclick: () => { this.center = null; this.draw(); } }, "All recipes");
    this.title = el("span", { class: "lead", "aria-live": "polite" });
    this.stage = el("div", { class: "scroll stage" });
    this.element = el("div", { class: "page" }, el("div", { class: "bar" }, this.back, this.levels, this.title), this.stage);
    this.stage.addEventListener("keydown", (e) => this.key(e));
  }

  // selected draws what is around a job.
  selected(i) {
    if (i?.kind === "job" && this.center !== i) { this.center = i; this.draw(); }
  }

  enter() {
    this.center = current?.kind === "job" ? current : this.center;
    this.draw();
  }

  // around collects what a job needs and what needs it, up to some steps away.
  around(center, steps) {
    const ids = new Set([center.id]);
    let cut = false;
    for (const next of [(j) => j.needs, (j) => j.neededBy]) {
      let edge = [center];
      for (let s = 0; s < steps && edge.length; s++) {
        const further = [];
        for (const j of edge) for (const id of next(j)) {
          if (ids.has(id) || !jobByID.has(id)) continue;
          if (ids.size >= MOST_NODES) { cut = true; continue; }
          ids.add(id);
          further.push(jobByID.get(id));
        }
        edge = further;
      }
    }
    return { ids: [...ids], cut };
  }

  draw() {
    const c = this.center;
    this.back.hidden = this.levels.hidden = !c;
    if (!jobs.some((j) => j.needs.length)) {
      this.title.textContent = "";
      clear(this.stage).append(el("p", { class: "none" }, "No job of this run says what it needs."));
      return;
    }
    if (!c) {
      this.title.textContent = `${plural(this.recipes.size, "recipe")}; what is needed is to the left. Choose one for its jobs.`;
      this.paint([...this.recipes.keys()], (id) => this.recipes.get(id).needs, (id) => this.recipes.get(id), (r) => this.choose(r));
      return;
    }
    const { ids, cut } = this.around(c, Number(this.levels.value));
    this.title.textContent = `${plain(c.id)}: ${plural(ids.length - 1, "job")} around it${cut ? " (as many as fit; there are more)" : ""}`;
    this.paint(ids, (id) => jobByID.get(id).needs, (id) => jobByID.get(id), (j) => show(j), c.id);
  }

  // choose goes from a recipe to its job that matters most.
  choose(r) {
    show(r.jobs.find((j) => j.result === r.result));
  }

  paint(ids, needs, of, open, center) {
    const { columns, arrows } = layered(ids, needs);
    const direct = reduced(columns, arrows, center);
    const rows = Math.max(...columns.map((c) => c.length));
    const height = rows * (NODE.height + NODE.down) + 20, width = columns.length * (NODE.width + NODE.across) - NODE.across + 20;
    const at = new Map();
    columns.forEach((column, x) => column.forEach((id, y) => {
      const top = (height - column.length * (NODE.height + NODE.down)) / 2;
      at.set(id, [10 + x * (NODE.width + NODE.across), top + y * (NODE.height + NODE.down)]);
    }));
    const lines = svg("g", { class: "edges" });
    this.lines = [];
    for (const [id, list] of direct) for (const n of list) {
      const [x2, y2] = at.get(id), [x1, y1] = at.get(n);
      const a = [x1 + NODE.width, y1 + NODE.height / 2], b = [x2, y2 + NODE.height / 2], bend = Math.max(30, (b[0] - a[0]) / 2);
      const line = svg("path", { d: `M${a}C${a[0] + bend},${a[1]} ${b[0] - bend},${b[1]} ${b}`, class: critical.has(id) && critical.has(n) ? "critical" : "" });
      this.lines.push({ line, ends: [id, n] });
      lines.append(line);
    }
    this.columns = columns;
    this.nodes = new Map();
    const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "What needs what" }, lines);
    for (const id of columns.flat()) {
      const o = of(id), [x, y] = at.get(id);
      const more = o.kind ? cells[o.cell]?.name : o.jobs.length > 1 ? `${o.jobs.length} jobs` : "";
      const name = plain(o.part ? `${o.title} ${o.part}` : o.title);
      const g = svg("g", { class: `node ${o.result} ${id === center ? "center" : ""}`, transform: `translate(${x} ${y})`, tabindex: "-1", role: "button", "aria-label": `${name}, ${resultOf(o.result).name}, needs ${arrows.get(id).length}` },
        svg("title", {}, `${plain(id)}\n${resultOf(o.result).name}${more ? "\n" + more : ""}`),
        svg("rect", { width: NODE.width, height: NODE.height, rx: 4 }),
        svg("text", { class: "sign", x: 9, y: 17 }, resultOf(o.result).sign),
        svg("text", { x: 24, y: 17 }, name.length > 25 ? name.slice(0, 24) + "…" : name));
      g.addEventListener("click", () => open(o));
      g.addEventListener("focus", () => this.light(id));
      g.addEventListener("mouseenter", () => this.light(id));
      g.addEventListener("mouseleave", () => this.light(null));
      this.nodes.set(id, { g, open: () => open(o) });
      drawing.append(g);
    }
    clear(this.stage).append(drawing);
    this.focus = center && at.has(center) ? center : columns[0][0];
    this.nodes.get(this.focus).g.setAttribute("tabindex", "0");
    const [x, y] = at.get(this.focus);
    if (center) this.stage.scrollTo(x - this.stage.clientWidth / 2 + NODE.width / 2, y - this.stage.clientHeight / 2);
    else this.stage.scrollTo(0, (height - this.stage.clientHeight) / 2);
  }

  light(id) {
    this.stage.firstChild.classList.toggle("lit", id !== null);
    for (const { line, ends } of this.lines) line.classList.toggle("near", ends.includes(id));
  }

  key(e) {
    const column = this.columns?.findIndex((c) => c.includes(this.focus)) ?? -1;
    if (column < 0) return;
    const row = this.columns[column].indexOf(this.focus);
    let to;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") to = this.columns[column][row + (e.key === "ArrowDown" ? 1 : -1)];
    else if (e.key === "ArrowRight" || e.key === "ArrowLeft") {
      const next = this.columns[column + (e.key === "ArrowRight" ? 1 : -1)];
      const y = row - this.columns[column].length / 2;
      to = next?.[Math.max(0, Math.min(next.length - 1, Math.round(y + next.length / 2)))];
    } else if (e.key === "Enter" || e.key === " ") { e.preventDefault(); this.nodes.get(this.focus).open(); return; } else return;
    e.preventDefault();
    if (!to) return;
    this.nodes.get(this.focus).g.setAttribute("tabindex", "-1");
    this.focus = to;
    const { g } = this.nodes.get(to);
    g.setAttribute("tabindex", "0");
    g.focus();
    g.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
