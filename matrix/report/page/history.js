// What changed since the last run, and how jobs and checks went in the last runs.

class Changes {
  constructor() {
    const p = run.previous;
    this.element = el("div", { class: "page" });
    if (!p) {
      this.element.append(el("p", { class: "none" }, "No earlier run is known, so that nothing can be compared."));
      return;
    }
    const delta = run.seconds - p.seconds;
    this.element.append(el("p", { class: "lead" }, "Since the run of ", when(p.started), ", which ", p.result === "fail" ? "failed" : "passed", ` and took ${human(p.seconds)}`,
      p.seconds > 0 && run.seconds > 0 ? ` (this one ${human(Math.abs(delta))} ${delta < 0 ? "less" : "more"})` : "", "."));
    const parts = [
      ["Failing now", p.failing, jobByID], ["Checks failing now", p.failingChecks, checkByID],
      ["Mended", p.mended, jobByID], ["Checks mended", p.mendedChecks, checkByID],
      ["New jobs", p.added, jobByID], ["Jobs that are gone", p.gone, jobByID],
    ].filter(([, ids]) => ids?.length);
    for (const [title, ids, items] of parts) this.element.append(section(`${title} (${ids.length})`, folded(ids.map((id) => itemLink(id, items)), 50)));
    if (p.packages?.length) this.element.append(section(`Packages (${p.packages.length})`, this.table(p.packages)));
    if (!parts.length && !p.packages?.length) this.element.append(el("p", { class: "none" }, "Nothing: the same jobs, the same results, the same packages."));
  }

  table(changes) {
    return el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, ["Package", "Cell", "From", "To", ""].map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, changes.map((c) => el("tr", {}, el("td", {}, c.name), el("td", {}, cellName(c)), el("td", {}, el("code", {}, c.from)), el("td", {}, el("code", {}, c.to)),
        el("td", { class: c.down ? "fail" : "" }, c.down ? "↓ downgrade" : "↑"))))));
  }
}

class History {
  constructor() {
    const known = [...jobs, ...checks].map((i) => ({ i, samples: historyOf(i) })).filter((k) => k.samples.length);
    for (const k of known) {
      k.flaky = flaky(k.samples);
      k.failed = k.samples.filter((s) => s.result === "fail").length;
      k.median = median(k.samples);
    }
    known.sort((a, b) => b.flaky - a.flaky || b.failed - a.failed || b.median - a.median);
    this.known = known;
    this.element = el("div", { class: "page" });
    if (!known.length) {
      this.element.append(el("p", { class: "none" }, "No earlier run is recorded."));
      return;
    }
    const count = known.filter((k) => k.flaky).length;
    this.element.append(el("p", { class: "lead" }, count ? `${plural(count, "job")} or checks had different results with the same inputs: flaky, and listed first.` : "No job or check had different results with the same inputs."));
    this.body = el("div", { class: "histories", role: "list" });
    for (const k of known) {
      k.element = el("div", { class: "past", role: "listitem" }, itemLink(k.i.id, k.i.kind === "job" ? jobByID : checkByID),
        el("span", { class: "strip", "aria-label": `${k.failed} of ${k.samples.length} failed` }, this.strip(k.samples)),
        el("span", { class: "num" }, k.median ? human(k.median) : "–"),
        el("span", { class: k.flaky ? "flag" : "unseen" }, k.flaky ? "flaky" : ""));
      this.body.append(k.element);
    }
    this.element.append(this.body);
  }

  // strip is a sign for each run; only failures are elements of their own.
  strip(samples) {
    const parts = [];
    let text = "";
    for (const s of samples) {
      if (s.result !== "fail") { text += resultOf(s.result).sign; continue; }
      parts.push(text, el("b", {}, "✕"));
      text = "";
    }
    return [...parts, text];
  }

  filter(text, result, group) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const k of this.known) {
      const hit = (!result || k.i.result === result) && (!group || k.i.group === group) && words.every((w) => k.i.hay.includes(w));
      if (k.element && k.element.hidden === hit) k.element.hidden = !hit;
      if (hit) n++;
    }
    return n;
  }
}
