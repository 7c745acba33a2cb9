// The run as the views see it: items (jobs and checks), rows and cells.

const given = JSON.parse(document.getElementById("data").textContent);
const run = given.run;
given.timeline ||= []; // of a run in which nothing ran
given.critical ||= [];
const omitted = given.omitted || {}; // jobs that are not here, by result
const rules = given.rules.map((r) => new RegExp(r));
const critical = new Set(given.critical);

// Results, worst first: their letter, so that colour is not all there is.
const RESULTS = {
  fail: { sign: "✕", name: "failed" },
  skip: { sign: "–", name: "skipped" },
  built: { sign: "✓", name: "built" },
  pass: { sign: "✓", name: "passed" },
  reused: { sign: "=", name: "reused" },
  shared: { sign: "→", name: "shared" },
};
const ORDER = Object.keys(RESULTS);
const resultOf = (r) => RESULTS[r] || { sign: "?", name: String(r) };

// plain makes foreign words fit to be shown, like the package plain does for logs.
const UNSEEN = /[\p{Cf}\p{Zl}\p{Zp}]/gu;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffd]/g;
const ESCAPES = /\u001b\[[0-?]*[ -\/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -\/]*[0-Z\\^-~]/g;
const ORDINARY = /^[\n\t -~]*$/;
function plain(s) {
  s = String(s ?? "");
  if (ORDINARY.test(s)) return s;
  return s.replace(ESCAPES, "").replace(CONTROL, "")
    .replace(UNSEEN, (c) => `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

// human says seconds as people do: 0.4s, 36s, 11m02s, 5h03m.
function human(s) {
  if (s < 10) return s.toFixed(1) + "s";
  if (s < 60) return Math.round(s) + "s";
  const two = (n) => String(n).padStart(2, "0");
  if (s < 3600) return Math.floor(Math.round(s) / 60) + "m" + two(Math.round(s) % 60) + "s";
  const m = Math.round(s / 60);
  return Math.floor(m / 60) + "h" + two(m % 60) + "m";
}

function bytes(n) {
  if (n < 1 << 20) return Math.ceil(n / 1024) + " KiB";
  if (n < 1 << 30) return Math.round(n / (1 << 20)) + " MiB";
  return (n / (1 << 30)).toFixed(1) + " GiB";
}

const when = (t) => {
  const d = new Date(t);
  return isNaN(d) ? plain(t) : d.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
};
const plural = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
const cellName = (x) => plain(x.target + "/" + x.arch);

const listed = new Set((run.cells || []).map((c) => c.target + "/" + c.arch));
const unlisted = new Map([...(run.jobs || []), ...(run.checks || [])].map((x) => [x.target + "/" + x.arch, { target: x.target, arch: x.arch, status: "not told" }]));
for (const name of listed) unlisted.delete(name);
const cells = [...(run.cells || []), ...unlisted.values()].map((c, index) => ({ ...c, index, name: cellName(c) }));
const cellIndex = new Map(cells.map((c) => [c.target + "/" + c.arch, c.index]));

// An item is a job or a check, with what the views need to know of both.
function item(kind, raw, id, title, part, group) {
  return {
    kind, raw, id, title, part, group,
    cell: cellIndex.get(raw.target + "/" + raw.arch) ?? -1,
    result: kind === "check" && raw.reused && raw.result === "pass" ? "reused" : raw.result,
    seconds: raw.seconds || 0, begin: raw.begin || 0, dim: false,
    needs: raw.needs || [], neededBy: [],
    hay: [id, raw.reason, raw.variant, group, ...(raw.packages || []).map((p) => p.file), ...(raw.cases || []).flatMap((c) => [c.name, c.reason])].join("\n").toLowerCase(),
  };
}
const checkID = (c) => [c.target, c.arch, c.name, c.subject].join("/");
const jobs = (run.jobs || []).map((j) => item("job", j, j.id, j.recipe, j.variant || "", j.group || "recipes"));
const checks = (run.checks || []).map((c) => item("check", c, checkID(c), c.subject, "", c.name));
const jobByID = new Map(jobs.map((j) => [j.id, j]));
const checkByID = new Map(checks.map((c) => [c.id, c]));
for (const j of jobs) for (const n of j.needs) jobByID.get(n)?.neededBy.push(j.id);

// The tests that checks consist of, by how they count: one in quarantine does not,
// whatever came of it.
const CASES = { fail: "failed", quarantine: "in quarantine", skip: "skipped", pass: "passed" };
const standingOf = (c) => (c.ran ? "quarantine" : c.result);
function sumOfCases(cases) {
  const n = {};
  for (const c of cases) n[standingOf(c)] = (n[standingOf(c)] || 0) + 1;
  return Object.keys(CASES).filter((s) => n[s]).map((s) => `${n[s].toLocaleString("en")} ${CASES[s]}`).join(", ");
}

// counts are how many items have each result.
function counts(items) {
  const n = new Map(ORDER.map((r) => [r, 0]));
  for (const i of items) n.set(i.result, (n.get(i.result) || 0) + 1);
  return n;
}

// rowsOf puts items that differ only in their cell into one row.
function rowsOf(items) {
  const rows = new Map();
  for (const i of items) {
    const key = [i.group, i.title, i.part].join("\u0000");
    let row = rows.get(key);
    if (!row) rows.set(key, row = { group: i.group, title: i.title, part: i.part, items: new Array(cells.length).fill(null) });
    if (i.cell >= 0) row.items[i.cell] = i;
  }
  const text = new Intl.Collator("en", { numeric: true });
  return [...rows.values()].sort((a, b) => text.compare(a.group, b.group) || text.compare(a.title, b.title) || text.compare(a.part, b.part));
}

// worst is the result that matters most.
function worst(results) {
  return ORDER.find((r) => results.includes(r)) || results[0];
}

// median of the durations of samples that ran.
function median(samples) {
  const s = samples.filter((x) => x.seconds > 0).map((x) => x.seconds).sort((a, b) => a - b);
  return s.length ? s[s.length >> 1] : 0;
}

// flaky says whether the same inputs had different results.
function flaky(samples) {
  const seen = new Map();
  for (const s of samples) {
    if (s.result === "skip" || !s.key) continue;
    const ok = s.result !== "fail";
    if (seen.has(s.key) && seen.get(s.key) !== ok) return true;
    seen.set(s.key, ok);
  }
  return false;
}

const historyOf = (i) => (i.kind === "job" ? run.history : run.checkHistory)?.[i.id] || [];

// logURL is where a log is, if it is where logs are.
function logURL(path) {
  if (!path || path.startsWith("/") || /[\\:\u0000]/.test(path)) return "";
  const parts = path.split("/");
  if (parts.some((p) => p === "" || p === "." || p === "..")) return "";
  return parts.map(encodeURIComponent).join("/");
}
