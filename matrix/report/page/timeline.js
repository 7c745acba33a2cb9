// The run in time: a lane for each slot, a bar for each job and check that ran.

const LANE = 18, GAP = 3, RULER = 24, LABEL = 64;

class Timeline {
  constructor() {
    this.bars = given.timeline.map((b) => ({ ...b, item: (b.check ? checks : jobs)[b.index] }));
    const top = (check) => this.bars.filter((b) => !!b.check === check).reduce((m, b) => Math.max(m, b.lane + 1), 0);
    this.lanes = [top(false), top(true)];
    this.end = this.bars.reduce((m, b) => Math.max(m, b.begin + b.seconds), run.seconds || 1);
    this.from = 0;
    this.span = this.end;
    this.focus = -1;
    const button = (label, text, f) => el("button", { type: "button", "aria-label": label, onclick: f }, text);
    this.says = el("p", { class: "lead", "aria-live": "polite" });
    this.canvas = el("canvas", { tabindex: "0", role: "application", "aria-label": "Timeline of the run. Arrow keys move among what ran, plus and minus zoom, 0 shows all, Enter opens." });
    this.box = el("div", { class: "lanes" }, this.canvas);
    this.element = el("div", { class: "page" });
    if (!this.bars.length) {
      this.element.append(el("p", { class: "none" }, "Nothing ran: everything was taken from earlier runs."));
      return;
    }
    this.element.append(el("div", { class: "bar" },
      button("Zoom in", "+", () => this.zoom(0.5)), button("Zoom out", "−", () => this.zoom(2)), button("Show all", "All", () => this.fit()),
      el("span", { class: "legend" }, el("i", { class: "key critical" }), " critical path"), this.says), this.box, this.summary());
    this.listen();
  }

  summary() {
    const built = this.bars.filter((b) => !b.check), work = built.reduce((s, b) => s + b.seconds, 0);
    const end = built.reduce((m, b) => Math.max(m, b.begin + b.seconds), 0), slots = run.slots || this.lanes[0];
    const path = given.critical.map((id) => jobByID.get(id)).filter(Boolean);
    const long = path.reduce((s, j) => s + j.seconds, 0);
    const words = [`${human(work)} of builds in ${human(end)}`];
    if (slots && end) words.push(`${plural(slots, "slot")} busy ${Math.round((100 * work) / (slots * end))} % of the time`);
    if (long) words.push(`the critical path alone took ${human(long)}`);
    return [el("p", { class: "lead" }, words.join("; "), "."),
      path.length ? section("Critical path", el("ol", { class: "path" }, path.map((j) => el("li", {}, itemLink(j.id, jobByID, human(j.seconds)))))) : null].filter(Boolean).flat().reduce((box, e) => (box.append(e), box), el("div"));
  }

  enter() {
    if (!this.bars.length) return;
    this.paint = { text: colour("text"), faint: colour("faint"), line: colour("line"), accent: colour("accent"), back: colour("back") };
    for (const r of ORDER) this.paint[r] = colour(r);
    this.pointTo(current);
    this.draw();
  }

  selected(i) {
    this.pointTo(i);
    this.draw();
  }

  pointTo(i) {
    const k = i ? this.bars.findIndex((b) => b.item === i) : -1;
    if (k >= 0) { this.focus = k; this.reveal(this.bars[k]); }
  }

  reveal(b) {
    if (b.begin < this.from || b.begin + b.seconds > this.from + this.span) this.from = Math.max(0, Math.min(this.end - this.span, b.begin + b.seconds / 2 - this.span / 2));
  }

  top(b) {
    return RULER + (b.check ? this.lanes[0] * (LANE + GAP) + (this.lanes[0] ? 14 : 0) : 0) + b.lane * (LANE + GAP);
  }

  draw() {
    if (!this.bars.length || !this.paint) return;
    const width = this.box.clientWidth, height = this.top({ check: true, lane: this.lanes[1] }) + 6, ratio = devicePixelRatio || 1;
    if (!width) return;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.height = height + "px";
    }
    const c = this.canvas.getContext("2d"), p = this.paint, scale = (width - LABEL) / this.span;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    this.ruler(c, width, height, scale);
    c.save();
    c.beginPath();
    c.rect(LABEL, RULER - 2, width - LABEL, height);
    c.clip();
    this.bars.forEach((b, k) => {
      const x = LABEL + (b.begin - this.from) * scale, w = Math.max(1, b.seconds * scale - 1), y = this.top(b);
      if (x + w < LABEL || x > width) return;
      const dim = this.matches && !this.matches(b.item);
      c.globalAlpha = dim ? 0.2 : 1;
      c.fillStyle = p[b.item.result] || p.skip;
      c.fillRect(x, y, w, LANE);
      if (critical.has(b.item.id) && !b.check) {
        c.fillStyle = p.back;
        c.fillRect(x, y + LANE - 6, w, 6);
        c.fillStyle = p.accent;
        c.fillRect(x, y + LANE - 4, w, 4);
      }
      if (w > 34) {
        c.save();
        c.beginPath();
        c.rect(x, y, w - 4, LANE);
        c.clip();
        c.fillStyle = p.back;
        c.fillText((b.item.result === "fail" ? "✕ " : "") + plain(b.check ? b.item.raw.name + " " + b.item.title : b.item.title + (b.item.part ? " " + b.item.part : "")), Math.max(x, LABEL) + 4, y + (critical.has(b.item.id) ? LANE / 2 - 2 : LANE / 2));
        c.restore();
      } else if (b.item.result === "fail" && w > 7) {
        c.fillStyle = p.back;
        c.fillText("✕", x + w / 2 - 4, y + LANE / 2);
      }
      if (k === this.focus) {
        c.globalAlpha = 1;
        c.strokeStyle = p.text;
        c.lineWidth = 2;
        c.strokeRect(x - 1, y - 1, w + 2, LANE + 2);
      }
    });
    c.restore();
  }

  ruler(c, width, height, scale) {
    const p = this.paint;
    const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400].find((s) => s * scale > 80) || 604800;
    c.fillStyle = p.faint;
    c.strokeStyle = p.line;
    c.lineWidth = 1;
    for (let t = Math.ceil(this.from / step) * step; t <= this.from + this.span; t += step) {
      const x = Math.round(LABEL + (t - this.from) * scale) + 0.5;
      c.beginPath();
      c.moveTo(x, RULER - 6);
      c.lineTo(x, height);
      c.stroke();
      c.fillText(t === 0 ? "0" : human(t), x + 3, 9);
    }
    for (const check of [false, true]) for (let lane = 0; lane < this.lanes[Number(check)]; lane++) c.fillText((check ? "check " : "slot ") + (lane + 1), 4, this.top({ check, lane }) + LANE / 2);
  }

  zoom(by, at = this.from + this.span / 2) {
    const span = Math.max(1, Math.min(this.end, this.span * by));
    this.from = Math.max(0, Math.min(this.end - span, at - ((at - this.from) * span) / this.span));
    this.span = span;
    this.draw();
  }

  fit() {
    this.from = 0;
    this.span = this.end;
    this.draw();
  }

  at(e) {
    const box = this.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    const time = this.from + ((x - LABEL) / (box.width - LABEL)) * this.span;
    const slack = (this.span / box.width) * 2;
    return { time, bar: this.bars.findIndex((b) => y >= this.top(b) && y < this.top(b) + LANE && time >= b.begin - slack && time <= b.begin + b.seconds + slack) };
  }

  say(k) {
    const b = this.bars[k];
    this.says.textContent = b ? `${plain(b.item.id)}: ${resultOf(b.item.result).name} in ${human(b.seconds)}${critical.has(b.item.id) ? ", on the critical path" : ""}` : "";
  }

  listen() {
    new ResizeObserver(() => this.draw()).observe(this.box);
    let drag = null;
    this.canvas.addEventListener("pointerdown", (e) => { drag = { x: e.clientX, from: this.from, moved: false }; this.canvas.setPointerCapture(e.pointerId); });
    this.canvas.addEventListener("pointermove", (e) => {
      if (!drag) {
        const { bar } = this.at(e);
        this.canvas.style.cursor = bar >= 0 ? "pointer" : "default";
        if (bar >= 0) this.say(bar);
        return;
      }
      if (Math.abs(e.clientX - drag.x) > 3) drag.moved = true;
      this.from = Math.max(0, Math.min(this.end - this.span, drag.from - ((e.clientX - drag.x) / (this.box.clientWidth - LABEL)) * this.span));
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (e) => {
      const click = drag && !drag.moved;
      drag = null;
      if (!click) return;
      const { bar } = this.at(e);
      if (bar >= 0) { this.focus = bar; show(this.bars[bar].item); }
    });
    this.canvas.addEventListener("pointercancel", () => { drag = null; });
    this.canvas.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      this.zoom(e.deltaY < 0 ? 0.8 : 1.25, this.at(e).time);
    }, { passive: false });
    this.canvas.addEventListener("keydown", (e) => this.key(e));
  }

  key(e) {
    const b = this.bars[this.focus];
    const same = (o) => b && o.lane === b.lane && !!o.check === !!b.check;
    let to = -1;
    if (e.key === "ArrowRight" || e.key === "ArrowLeft") {
      const step = e.key === "ArrowRight" ? 1 : -1;
      if (!b) to = 0;
      else for (let k = this.focus + step; k >= 0 && k < this.bars.length; k += step) if (same(this.bars[k])) { to = k; break; }
    } else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      if (!b) to = 0;
      else {
        const y = this.top(b), down = e.key === "ArrowDown", middle = b.begin + b.seconds / 2;
        let best = Infinity;
        this.bars.forEach((o, k) => {
          const dy = (this.top(o) - y) * (down ? 1 : -1);
          const score = dy * 1e6 + Math.abs(o.begin + o.seconds / 2 - middle);
          if (dy > 0 && score < best) { best = score; to = k; }
        });
      }
    } else if (e.key === "+" || e.key === "=") this.zoom(0.5, b ? b.begin + b.seconds / 2 : undefined);
    else if (e.key === "-") this.zoom(2, b ? b.begin + b.seconds / 2 : undefined);
    else if (e.key === "0") this.fit();
    else if (e.key === "Enter" && b) show(b.item);
    else return;
    e.preventDefault();
    if (to >= 0) { this.focus = to; this.reveal(this.bars[to]); this.say(to); this.draw(); }
  }

  filter(text, result, group) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const hit = (i) => (!result || i.result === result) && (!group || i.group === group) && words.every((w) => i.hay.includes(w));
    this.matches = words.length || result || group ? hit : null;
    this.draw();
    return this.bars.filter((b) => hit(b.item)).length;
  }
}
