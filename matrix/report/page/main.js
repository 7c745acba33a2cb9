// The page: its head, its views, and what is remembered in the address.

const VIEWS = {
  builds: { name: "Builds", make: () => new Grid("Builds", "Recipe", jobs), items: jobs, filter: true },
  checks: { name: "Checks", make: () => new Grid("Checks", "Subject", checks), items: checks, filter: true },
  timeline: { name: "Timeline", make: () => new Timeline(), items: given.timeline.map((b) => (b.check ? checks : jobs)[b.index]).filter(Boolean), filter: true },
  graph: { name: "Graph", make: () => new Graph() },
  changes: { name: "Changes", make: () => new Changes() },
  history: { name: "History", make: () => new History(), items: [...jobs, ...checks].filter((i) => historyOf(i).length), filter: true },
};
const views = {}; // those made so far
let active = "";
const choice = { text: "", result: "", group: "" };

function head() {
  const failed = run.result === "fail";
  $("result").append(el("span", { class: "sign", "aria-hidden": "true" }, failed ? "✕" : "✓"), failed ? " Failed" : " Passed");
  $("result").classList.add(failed ? "fail" : "built");
  const n = counts(jobs), c = counts(checks), hidden = Object.entries(omitted).filter(([r]) => n.has(r));
  for (const [r, k] of hidden) n.set(r, n.get(r) + k);
  const left = hidden.reduce((sum, [, k]) => sum + k, 0);
  const cases = checks.flatMap((i) => i.raw.cases || []);
  const say = (m, of) => of.filter((r) => m.get(r)).map((r) => `${m.get(r).toLocaleString("en")} ${resultOf(r).name}`).join(", ") || "none";
  $("headline").textContent = plain(`OpenHPC ${run.release}`);
  add($("subline"), [
    el("span", {}, `${plural(jobs.length + left, "job")}: ${say(n, ["fail", "built", "reused", "shared", "skip"])}`),
    left ? el("span", {}, "those reused or shared are not shown here; matrix.json has all") : null,
    checks.length ? el("span", {}, `${plural(checks.length, "check")}: ${say(c, ["fail", "pass", "reused", "skip"])}`) : null,
    cases.length ? el("span", {}, `${plural(cases.length, "test")} in them: ${sumOfCases(cases)}`) : null,
    el("span", {}, human(run.seconds || 0)), el("span", {}, when(run.started)), el("span", {}, `ohpc-build ${plain(run.program)}`),
  ]);
  document.title = plain(`${failed ? "✕" : "✓"} OpenHPC ${run.release}: ohpc-build matrix`);
  if (run.error) {
    $("error").hidden = false;
    $("error").textContent = "The run ended early: " + plain(run.error);
  }
  for (const c of cells) {
    const ok = c.status === "supported", missing = c.missing || [];
    const own = jobs.filter((j) => j.cell === c.index), fails = own.filter((j) => j.result === "fail").length;
    $("cells").append(el("article", { class: "standing " + (ok ? "good" : "open") },
      el("h2", {}, c.target, " ", el("small", {}, c.arch)),
      el("p", { class: "status" }, el("span", { class: "sign", "aria-hidden": "true" }, ok ? "✓" : "△"), " ", c.status),
      el("p", { class: "sum" }, `${plural(own.length, "job")}${fails ? `, ${fails} failed` : ""}`),
      missing.length ? el("details", {}, el("summary", {}, `${missing.length} missing`), el("ul", {}, missing.map((m) => el("li", {}, m)))) : null));
  }
  for (const name of ["matrix.json", "junit.xml", "trace.json"]) add($("files"), [$("files").childNodes.length ? " · " : "", el("a", { href: name }, name)]);
  add($("files"), [" (opens in ", el("a", { href: "https://ui.perfetto.dev", rel: "noopener noreferrer" }, "Perfetto"), ")"]);
}

function tabs() {
  for (const [id, v] of Object.entries(VIEWS)) {
    v.tab = el("button", { type: "button", role: "tab", id: "tab-" + id, "aria-controls": "main", "aria-selected": "false", tabindex: "-1", onclick: () => view(id) }, v.name);
    $("tabs").append(v.tab);
  }
  $("tabs").addEventListener("keydown", (e) => {
    const ids = Object.keys(VIEWS), k = ids.indexOf(active);
    const to = { ArrowRight: k + 1, ArrowLeft: k - 1 + ids.length, Home: 0, End: ids.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    view(ids[to % ids.length]);
    VIEWS[active].tab.focus();
  });
  $("main").setAttribute("role", "tabpanel");
}

// view changes to one of the views, which is made when it is first wanted.
function view(id) {
  if (!VIEWS[id]) id = "builds";
  if (active === id) { views[id].enter?.(); return; }
  if (VIEWS[active]) {
    VIEWS[active].tab.setAttribute("aria-selected", "false");
    VIEWS[active].tab.tabIndex = -1;
  }
  active = id;
  const v = VIEWS[id];
  v.tab.setAttribute("aria-selected", "true");
  v.tab.tabIndex = 0;
  views[id] ||= v.make();
  $("main").setAttribute("aria-labelledby", "tab-" + id);
  clear($("main")).append(views[id].element, ...(views[id].none ? [views[id].none] : []));
  $("filters").hidden = !v.filter;
  if (v.filter) choices(v.items);
  apply();
  views[id].enter?.();
  remember();
}

// choices offers the results and groups that a view has.
function choices(items) {
  const n = counts(items), groups = [...new Set(items.map((i) => i.group))].sort();
  const chip = (result, text, count) => el("button", { type: "button", class: "chip " + result, "aria-pressed": String(choice.result === result), onclick: () => { choice.result = choice.result === result ? "" : result; choices(items); apply(); } },
    result ? el("span", { class: "sign", "aria-hidden": "true" }, resultOf(result).sign) : null, text, el("span", { class: "n" }, count.toLocaleString("en")));
  if (choice.result && !n.get(choice.result)) choice.result = "";
  if (!groups.includes(choice.group)) choice.group = "";
  const again = $("results").contains(document.activeElement);
  clear($("results")).append(chip("", "all", items.length), ...ORDER.filter((r) => n.get(r)).map((r) => chip(r, resultOf(r).name, n.get(r))));
  if (again) $("results").querySelector("[aria-pressed=true]").focus();
  clear($("group")).append(el("option", { value: "" }, "all groups"), ...groups.map((g) => el("option", { value: g }, g)));
  $("group").value = choice.group;
}

function apply() {
  if (!VIEWS[active].filter) return;
  const n = views[active].filter?.(choice.text, choice.result, choice.group);
  $("count").textContent = choice.text || choice.result || choice.group ? `${(n || 0).toLocaleString("en")} of ${VIEWS[active].items.length.toLocaleString("en")}` : "";
}

// remember keeps the view and the item in the address, which can be passed on.
function remember() {
  const p = new URLSearchParams();
  if (active !== "builds") p.set("view", active);
  if (current) p.set(current.kind, current.id);
  const hash = p.size ? "#" + p : "";
  if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
}

function recall() {
  const p = new URLSearchParams(location.hash.slice(1));
  view(p.get("view") || active || "builds");
  const i = jobByID.get(p.get("job")) || checkByID.get(p.get("check"));
  if (i && i !== current) {
    show(i, true);
    i.element?.scrollIntoView({ block: "center" });
  }
}

const THEMES = ["auto", "light", "dark"];
function theme(t) {
  document.documentElement.dataset.theme = t;
  $("theme").textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[t];
  $("theme").setAttribute("aria-label", `Colours: ${t}. Press for the next.`);
  views[active]?.enter?.();
}

// A browser may refuse to keep anything for a page from disk.
const kept = {
  get() { try { return localStorage.getItem("ohpc-build-theme"); } catch { return null; } },
  set(t) { try { localStorage.setItem("ohpc-build-theme", t); } catch { /* it is only a comfort */ } },
};

function listen() {
  $("search").addEventListener("input", (e) => { choice.text = e.target.value; apply(); });
  $("search").addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown" || e.key === "Enter") { e.preventDefault(); views[active].stop?.focus(); }
    if (e.key !== "Escape") return;
    e.preventDefault();
    e.stopPropagation();
    if (!e.target.value) { views[active].stop?.focus(); return; }
    e.target.value = choice.text = "";
    apply();
  });
  $("group").addEventListener("change", (e) => { choice.group = e.target.value; apply(); });
  $("theme").addEventListener("click", () => {
    const t = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    kept.set(t);
    theme(t);
  });
  document.addEventListener("keydown", (e) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
    if (e.key === "Escape") hide();
    else if (e.key === "/" && !typing && !$("filters").hidden) {
      e.preventDefault();
      $("search").focus();
      $("search").select();
    } else if ((e.key === "n" || e.key === "p") && !typing && !e.ctrlKey && !e.metaKey && !e.altKey && !e.defaultPrevented) views[active].failure?.(e.key === "n" ? 1 : -1);
  });
  addEventListener("hashchange", recall);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => views[active]?.enter?.());
}

theme(THEMES.includes(kept.get()) ? kept.get() : "auto");
head();
tabs();
listen();
recall();
document.documentElement.dataset.ready = Math.round(performance.now());
