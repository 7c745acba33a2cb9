// A log: its lines with numbers, the failure marked, and a search in it.

const CHUNK = 200; // lines that are laid out together, once they come into view
const MOST_LINES = 50000;
const MOST_BYTES = 16 << 20;

class Log {
  constructor(path) {
    this.path = path;
    this.url = logURL(path);
    this.excerpt = given.logs?.[path];
    this.lines = [];
    this.hits = [];
    this.hit = -1;
    this.pane = el("div", { class: "log", tabindex: "0", role: "region", "aria-label": "Log" });
    this.note = el("p", { class: "lognote" });
    this.search = el("input", { type: "search", placeholder: "Search the log", "aria-label": "Search the log", spellcheck: "false", autocomplete: "off", oninput: () => this.find(), onkeydown: (e) => this.key(e) });
    this.count = el("output", { "aria-live": "polite" });
    this.element = el("div", { class: "logview" },
      el("div", { class: "logbar" }, this.search, this.count,
        el("button", { type: "button", class: "quiet", "aria-label": "Previous match", onclick: () => this.step(-1) }, "↑"),
        el("button", { type: "button", class: "quiet", "aria-label": "Next match", onclick: () => this.step(1) }, "↓"),
        this.toFailure = el("button", { type: "button", onclick: () => this.showFailure() }, "To the failure"),
        this.load = el("button", { type: "button", onclick: () => this.fetch() }, "Load all of it"),
        this.url ? el("a", { href: this.url, target: "_blank", rel: "noopener" }, "Open the file") : null),
      this.note, this.pane);
    // A page from disk may not read other files.
    this.load.hidden = !this.url || !location.protocol.startsWith("http");
    if (this.excerpt) {
      const lines = this.excerpt.text.split("\n");
      this.set(lines, this.excerpt.first || 1, this.excerpt.failure || 0);
      if (this.excerpt.first > 1) this.note.textContent = `The end of the log, from line ${this.excerpt.first.toLocaleString("en")} (${bytes(this.excerpt.size)} in all).`;
    } else {
      this.pane.hidden = true;
      this.toFailure.hidden = true;
      this.search.disabled = true;
      this.note.textContent = this.load.hidden ? "Only logs of failures are part of this page." : "";
    }
  }

  // set shows lines; failure is the one that tells it, from 1.
  set(lines, first, failure) {
    this.lines = lines;
    this.lower = null;
    this.rows = [];
    clear(this.pane);
    this.pane.hidden = false;
    this.search.disabled = false;
    this.pane.style.setProperty("--digits", String(first + lines.length).length);
    for (let from = 0; from < lines.length; from += CHUNK) {
      const chunk = el("div", { class: "chunk" });
      const to = Math.min(from + CHUNK, lines.length);
      chunk.style.containIntrinsicHeight = `auto ${(to - from) * 18}px`;
      for (let i = from; i < to; i++) {
        const text = plain(lines[i]);
        const line = el("div", { class: "line", "data-n": first + i }, text);
        if (text.length < 2000 && rules.some((r) => r.test(text))) line.classList.add("told");
        this.rows.push(line);
        chunk.append(line);
      }
      this.pane.append(chunk);
    }
    this.failure = this.rows[failure - 1];
    this.toFailure.hidden = !this.failure;
    if (this.failure) {
      this.failure.classList.add("failure");
      this.failure.setAttribute("aria-label", "The failure: " + this.failure.textContent);
    }
    if (this.search.value) this.find();
  }

  showFailure() {
    this.into(this.failure || this.rows?.at(-1));
  }

  into(line) {
    if (!line) return;
    // Only the log is scrolled, not what it is in. Chunks above that were never laid
    // out move things while one scrolls, so it is done twice.
    const center = () => { this.pane.scrollTop += line.getBoundingClientRect().top - this.pane.getBoundingClientRect().top - this.pane.clientHeight / 2; };
    center();
    requestAnimationFrame(center);
  }

  find() {
    const word = this.search.value.toLowerCase();
    this.lower ??= this.lines.map((l) => plain(l).toLowerCase());
    for (const i of this.hits) this.rows[i]?.classList.remove("hit");
    this.unmark();
    this.hits = [];
    if (word) this.lower.forEach((l, i) => l.includes(word) && this.hits.push(i));
    for (const i of this.hits) this.rows[i].classList.add("hit");
    this.hit = -1;
    this.count.textContent = word ? plural(this.hits.length, "line") : "";
    if (this.hits.length) this.step(1);
  }

  unmark() {
    if (!this.marked) return;
    this.marked.textContent = this.marked.textContent;
    this.marked.classList.remove("current");
    this.marked = null;
  }

  step(by) {
    if (!this.hits.length) return;
    this.unmark();
    this.hit = (this.hit + by + this.hits.length) % this.hits.length;
    const line = this.marked = this.rows[this.hits[this.hit]];
    const text = line.textContent, word = this.search.value.toLowerCase();
    const parts = [];
    let at = 0;
    for (let k = text.toLowerCase().indexOf(word); k >= 0; k = text.toLowerCase().indexOf(word, at)) {
      parts.push(text.slice(at, k), el("mark", {}, text.slice(k, k + word.length)));
      at = k + word.length;
    }
    line.replaceChildren(...parts, text.slice(at));
    line.classList.add("current");
    this.count.textContent = `${this.hit + 1} of ${plural(this.hits.length, "line")}`;
    this.into(line);
  }

  key(e) {
    if (e.key === "Enter") this.step(e.shiftKey ? -1 : 1);
    else if (e.key === "Escape" && this.search.value) { this.search.value = ""; this.find(); }
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  // fetch reads the whole log from the web server.
  async fetch() {
    this.load.disabled = true;
    this.note.textContent = "Loading …";
    try {
      const answer = await fetch(this.url, { signal: AbortSignal.timeout(60000), credentials: "same-origin" });
      if (!answer.ok) throw new Error(`the server says ${answer.status}`);
      const reader = answer.body.getReader(), decoder = new TextDecoder();
      let text = "", cut = false;
      for (let size = 0; ;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
        size += value.length;
        if (size > MOST_BYTES) { cut = true; await reader.cancel(); break; }
      }
      const lines = text.replace(/\n$/, "").split("\n").map((l) => l.replace(/\r+$/, "").replace(/^.*\r/, ""));
      if (lines.length > MOST_LINES) { cut = true; lines.length = MOST_LINES; }
      const e = this.excerpt;
      this.set(lines, 1, e?.failure ? (e.first || 1) + e.failure - 1 : 0);
      this.note.textContent = cut ? "The beginning of the log; the file has the rest." : "The whole log.";
      this.load.hidden = true;
      this.showFailure();
    } catch (err) {
      this.load.disabled = false;
      this.note.textContent = `The log could not be loaded: ${plain(err.message)}`;
    }
  }
}
