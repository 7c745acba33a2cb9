// The grid: rows of recipe × variant (or check × subject), a column for each cell.

class Grid {
  constructor(label, corner, items) {
    this.items = items;
    this.rows = rowsOf(items);
    this.shown = this.rows;
    this.at = { row: 0, cell: 0 }; // what has the focus among the shown
    this.element = el("div", { class: "grid", role: "grid", "aria-label": label, "aria-colcount": cells.length + 1, "aria-rowcount": this.rows.length + 1 });
    this.element.style.setProperty("--cells", cells.length);
    this.element.append(el("div", { class: "row head", role: "row" },
      el("div", { role: "columnheader", class: "name" }, corner),
      cells.map((c) => el("div", { role: "columnheader", class: "cellhead" }, el("b", {}, c.target), el("span", {}, c.arch)))));
    let group, box;
    this.groups = [];
    for (const row of this.rows) {
      if (row.group !== group) {
        group = row.group;
        box = el("div", { role: "rowgroup", class: "group" }, el("div", { class: "grouphead", role: "row" }, el("div", { role: "gridcell", "aria-colspan": cells.length + 1 }, group)));
        this.groups.push({ box, rows: [] });
        this.element.append(box);
      }
      row.element = el("div", { class: "row", role: "row" }, el("div", { role: "rowheader", class: "name", title: row.title + (row.part ? " @ " + row.part : "") },
        row.title, row.part ? el("small", {}, " ", row.part) : null));
      row.cells = row.items.map((i) => this.cell(row, i));
      row.element.append(...row.cells);
      this.groups.at(-1).rows.push(row);
      box.append(row.element);
    }
    this.none = el("p", { class: "none", hidden: true }, items.length ? "Nothing matches. Esc in the search clears it." : "There is nothing here: this run came to none.");
    this.element.addEventListener("click", (e) => this.open(e.target.closest("[data-c]")));
    this.element.addEventListener("keydown", (e) => this.key(e));
    this.element.addEventListener("focusin", (e) => this.focused(e.target));
    this.filter("", "", "");
  }

  cell(row, i) {
    if (!i) return el("div", { role: "gridcell", class: "cell empty", tabindex: "-1", "aria-label": "nothing" }, "·");
    const r = resultOf(i.result);
    const text = i.seconds > 0 && (i.result === "built" || i.result === "fail" || i.result === "pass") ? human(i.seconds) : r.name;
    const e = el("div", { role: "gridcell", class: "cell " + i.result, tabindex: "-1", "data-c": i.cell, "aria-label": `${i.title} ${i.part} ${cells[i.cell].name}: ${r.name}` },
      el("span", { class: "sign", "aria-hidden": "true" }, r.sign), el("span", { class: "what", "aria-hidden": "true" }, text));
    e.item = i;
    i.element = e;
    return e;
  }

  // filter shows the rows in which an item matches, and dims what does not.
  filter(text, result, group) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const all = !words.length && !result;
    let matches = 0;
    this.shown = [];
    for (const g of this.groups) {
      let any = false;
      for (const row of g.rows) {
        let show = false;
        if (!group || row.group === group) {
          for (const i of row.items) {
            if (!i) continue;
            const hit = all || ((!result || i.result === result) && words.every((w) => i.hay.includes(w)));
            if (hit) { show = true; matches++; }
            if (i.dim !== !hit) { i.dim = !hit; i.element.classList.toggle("dim", !hit); }
          }
        }
        if (row.element.hidden === show) row.element.hidden = !show;
        if (show) { any = true; this.shown.push(row); }
      }
      if (g.box.hidden === any) g.box.hidden = !any;
    }
    this.none.hidden = this.shown.length > 0;
    this.at.row = Math.min(this.at.row, Math.max(0, this.shown.length - 1));
    this.rove();
    return matches;
  }

  // rove leaves one cell in the order of the Tab key.
  rove() {
    if (this.stop) this.stop.tabIndex = -1;
    this.stop = this.shown[this.at.row]?.cells[this.at.cell];
    if (this.stop) this.stop.tabIndex = 0;
  }

  focused(target) {
    const e = target.closest("[role=gridcell]");
    const row = this.shown.findIndex((r) => r.cells.includes(e));
    if (row < 0) return;
    this.at = { row, cell: this.shown[row].cells.indexOf(e) };
    this.rove();
  }

  move(row, cell) {
    this.at = { row: Math.max(0, Math.min(this.shown.length - 1, row)), cell: Math.max(0, Math.min(cells.length - 1, cell)) };
    this.rove();
    this.stop?.focus();
    this.stop?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  open(e) {
    if (e?.item) show(e.item);
  }

  key(e) {
    if (e.altKey || e.metaKey) return;
    const { row, cell } = this.at;
    const page = 12;
    const to = {
      ArrowUp: [row - 1, cell], ArrowDown: [row + 1, cell], ArrowLeft: [row, cell - 1], ArrowRight: [row, cell + 1],
      PageUp: [row - page, cell], PageDown: [row + page, cell],
      Home: [e.ctrlKey ? 0 : row, 0], End: [e.ctrlKey ? this.shown.length - 1 : row, cells.length - 1],
    }[e.key];
    if (to) this.move(...to);
    else if (e.key === "Enter" || e.key === " ") this.open(document.activeElement);
    else if (e.key === "n" || e.key === "p") this.failure(e.key === "n" ? 1 : -1);
    else return;
    e.preventDefault();
  }

  // failure goes to the next one, or the one before.
  failure(step) {
    const n = cells.length, total = this.shown.length * n;
    let k = this.at.row * n + this.at.cell;
    for (let i = 0; i < total; i++) {
      k = (k + step + total) % total;
      const c = this.shown[Math.floor(k / n)].items[k % n];
      if (c?.result === "fail" && !c.dim) return this.move(Math.floor(k / n), k % n);
    }
  }
}
