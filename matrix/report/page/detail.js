// The panel that tells everything of one job or check.

const detail = $("detail");
let current = null; // the item that it shows
let opener = null; // what had the focus before

function show(i, quietly) {
  if (!i) return;
  if (!detail.contains(document.activeElement)) opener = document.activeElement;
  current?.element?.classList.remove("selected");
  current = i;
  i.element?.classList.add("selected");
  const log = i.raw.log ? new Log(i.raw.log) : null;
  add(clear(detail), [
    el("header", {},
      el("div", {}, mark(i.result), el("h2", { id: "detail-title", tabindex: "-1" }, i.kind === "job" ? i.title : i.raw.name, i.part ? el("small", {}, " ", i.part) : null)),
      el("button", { type: "button", class: "quiet close", "aria-label": "Close", onclick: () => hide() }, "✕")),
    el("p", { class: "id" }, i.kind === "job" ? i.id : `${i.raw.subject} · ${cellName(i.raw)}`),
    reason(i, log),
    el("div", { class: "actions" },
      i.kind === "job" ? el("button", { type: "button", onclick: () => view("graph") }, "In the graph") : null,
      ran(i) ? el("button", { type: "button", onclick: () => view("timeline") }, "In the timeline") : null),
    i.raw.cases?.length ? tests(i.raw.cases) : null,
    log ? section("Log", log.element) : null,
    facts(i),
    related(i),
  ]);
  document.body.classList.add("open");
  detail.hidden = false;
  detail.scrollTop = 0;
  log?.showFailure();
  if (!quietly) $("detail-title").focus({ preventScroll: true });
  remember();
  views[active]?.selected?.(i);
}

function hide() {
  if (detail.hidden) return;
  const back = opener?.isConnected ? opener : current?.element;
  current?.element?.classList.remove("selected");
  current = null;
  detail.hidden = true;
  document.body.classList.remove("open");
  remember();
  views[active]?.selected?.(null);
  (back?.isConnected && back !== document.body ? back : $("main")).focus({ preventScroll: true });
}

const ran = (i) => given.timeline.some((b) => (b.check ? checks : jobs)[b.index] === i);

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

function list(title, entries) {
  return entries.length ? section(`${title} (${entries.length})`, folded(entries)) : null;
}

// folded shows the first entries of a long list.
function folded(entries, first = 12) {
  const ul = el("ul", {}, entries.slice(0, first).map((e) => el("li", {}, e)));
  if (entries.length <= first) return ul;
  const more = el("button", { type: "button", class: "quiet", onclick: () => { more.remove(); ul.append(...entries.slice(first).map((e) => el("li", {}, e))); } }, `and ${entries.length - first} more`);
  return [ul, more];
}

// reason is why, without what stands beside it anyway: the name, and the end of the log.
function reason(i, log) {
  let text = String(i.raw.reason || "");
  if (text.startsWith(i.id + ": ")) text = text.slice(i.id.length + 2);
  if (i.kind === "job" && log?.excerpt) text = text.split("\n")[0];
  return text ? el("p", { class: "reason" }, text) : null;
}

// tests are those that a check consists of; those that did not pass come first, with
// what they said.
function tests(cases) {
  const order = Object.keys(CASES);
  const sorted = cases.toSorted((a, b) => order.indexOf(standingOf(a)) - order.indexOf(standingOf(b)));
  const entries = sorted.map((c) => {
    const how = standingOf(c), passed = how === "pass";
    return el("div", { class: "case " + (RESULTS[c.result] ? c.result : "skip") },
      el("span", { class: "sign", "aria-hidden": "true" }, how === "quarantine" ? "△" : resultOf(c.result).sign),
      el("span", { class: "casename" }, el("span", { class: "unseen" }, (CASES[how] || plain(how)) + ": "), c.name, how === "quarantine" ? el("small", {}, " in quarantine") : null),
      el("span", { class: "num" }, c.seconds > 0 ? human(c.seconds) : ""),
      c.reason && !passed ? el("p", { class: "told" }, c.reason) : null);
  });
  const open = Math.min(50, Math.max(12, sorted.findLastIndex((c) => standingOf(c) !== "pass") + 1));
  return section(`Tests (${cases.length.toLocaleString("en")})`, el("p", { class: "lead" }, sumOfCases(cases)), folded(entries, open));
}

function facts(i) {
  const r = i.raw, dl = el("dl");
  const fact = (name, value) => value && dl.append(el("dt", {}, name), el("dd", {}, value));
  fact("Cell", cellName(r));
  fact("Group", i.kind === "job" ? i.group : "");
  fact("Took", i.seconds > 0 ? human(i.seconds) + (r.expected ? ` (expected ${human(r.expected)})` : "") : "");
  fact("Began", i.begin > 0 ? human(i.begin) + " into the run" + (r.slot ? `, in slot ${r.slot}` : "") : "");
  fact("Processor", r.cpuSeconds ? human(r.cpuSeconds) : "");
  fact("Memory", r.peakMemory ? bytes(r.peakMemory) + " at most" : "");
  fact("Attempts", r.attempts > 1 ? String(r.attempts) : "");
  fact("Critical path", critical.has(i.id) ? "yes: the run was as long as this and what it needed" : "");
  fact("Reused", r.reused ? "the result of an earlier run on the same packages" : "");
  fact("Build root", r.kept ? el("code", {}, r.kept) : "");
  fact("Key", r.key ? el("code", { title: r.key }, plain(r.key).slice(0, 19) + "…") : "");
  return dl;
}

function related(i) {
  const r = i.raw, parts = [];
  const samples = historyOf(i);
  if (samples.length) parts.push(section("History", spark(samples)));
  if (i.kind === "job") {
    parts.push(list("Hints", (r.hints || []).map((h) => el("span", {}, h))));
    parts.push(list("Packages", (r.packages || []).map((p) => packageEntry(p))));
    const own = checks.filter((c) => c.cell === i.cell && concerns(c.raw.subject, r));
    parts.push(list("Checks", own.map((c) => el("button", { type: "button", class: "link " + c.result, onclick: () => show(c) },
      el("span", { class: "sign", "aria-hidden": "true" }, resultOf(c.result).sign), el("span", { class: "unseen" }, resultOf(c.result).name), " ", c.raw.name, " ", el("small", {}, c.raw.subject, c.raw.cases?.length ? ` · ${plural(c.raw.cases.length, "test")}: ${sumOfCases(c.raw.cases)}` : "")))));
    parts.push(list("Needs", i.needs.map((id) => itemLink(id, jobByID))));
    parts.push(list("Needed by", i.neededBy.map((id) => itemLink(id, jobByID))));
  } else {
    const of = jobs.filter((j) => j.cell === i.cell && concerns(r.subject, j.raw));
    parts.push(list("Jobs", of.map((j) => itemLink(j.id, jobByID))));
  }
  return parts.filter(Boolean);
}

// concerns says whether a check's subject is a job's recipe or variant.
function concerns(subject, job) {
  const first = String(subject).split(" ")[0];
  return first === job.recipe + "@" + job.variant || first === job.recipe;
}

function packageEntry(p) {
  const href = p.path ? logURL(p.path) : "";
  const name = href ? el("a", { href: "../" + href }, p.file) : el("span", {}, p.file);
  return [name, " ", el("code", { class: "digest", title: p.digest }, plain(p.digest).replace(/^sha256:/, "").slice(0, 12))];
}

// spark is a run's durations as bars; a failure is a cross below its bar.
function spark(samples) {
  const w = 14, h = 44, most = Math.max(1, ...samples.map((s) => s.seconds));
  const bars = samples.map((s, k) => {
    const height = s.seconds > 0 ? Math.max(2, (s.seconds / most) * h) : 2;
    const about = `${when(s.time)}: ${resultOf(s.result).name}${s.seconds > 0 ? " in " + human(s.seconds) : ""}`;
    return svg("g", { class: RESULTS[s.result] ? s.result : "skip" },
      svg("title", {}, about),
      svg("rect", { x: k * w + 1, y: h - height, width: w - 3, height }),
      svg("text", { x: k * w + w / 2 - 0.5, y: h + 13 }, s.result === "fail" ? "✕" : ""));
  });
  const failed = samples.filter((s) => s.result === "fail").length;
  const words = [`${plural(samples.length, "run")}`, failed ? `${failed} failed` : "none failed"];
  const m = median(samples);
  if (m) words.push(`${human(m)} as a rule`);
  if (flaky(samples)) words.push("flaky: different results with the same inputs");
  const text = words.join(", ");
  return [svg("svg", { class: "spark", viewBox: `0 0 ${samples.length * w} ${h + 16}`, width: samples.length * w, height: h + 16, role: "img", "aria-label": text }, bars), el("p", { class: "lognote" }, text)];
}
