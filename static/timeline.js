// Schedules under each other on one time axis, on a canvas: thousands of operators are drawn at
// once, numbers appear as soon as they fit, and nothing is asked of Python while the reader zooms,
// pans or points. A click is told to Python, which answers with the critical path.

const version = new URL(import.meta.url).search; // all parts are fetched anew together
const [
  { CanvasPen, SvgPen },
  { LEGEND_LINE, MEMORY, NOTE, RIGHT, after, legendPlaces, number, paint },
] = await Promise.all([
  import(`./timeline_pens.js${version}`),
  import(`./timeline_paint.js${version}`),
]);

const timelines = new WeakMap();
const LEGEND = 34; // pixels above the first schedule
const TITLE = 26;
const AXIS = 44;
const CLICK = 4; // pixels a pointer may move in a click

/** Show the data of a component; return what to do when it leaves the page. */
export function show({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".timeline");
  if (!timelines.has(root)) timelines.set(root, new Timeline(root));
  const timeline = timelines.get(root);
  timeline.tell = (picked) => setStateValue("picked", picked);
  timeline.take(data);
  return () => setTimeout(() => root.isConnected || timeline.leave(), 0);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

class Timeline {
  constructor(root) {
    this.root = root;
    this.build();
    this.watch = new ResizeObserver(() => this.soon());
    this.watch.observe(root);
    root.timeline = this; // for tests: where an operator is on the screen
  }

  leave() {
    this.watch.disconnect();
    timelines.delete(this.root);
  }

  build() {
    const button = (label, title, act) => {
      const made = element("button", { type: "button", textContent: label, title });
      made.setAttribute("aria-label", title);
      made.addEventListener("click", act);
      return made;
    };
    this.status = element("span", { className: "tl-status" });
    this.said = element("span", { className: "tl-said" });
    this.said.setAttribute("aria-live", "polite");
    this.picture = element("canvas", { className: "tl-picture" });
    this.overlay = element("canvas", { className: "tl-overlay", tabIndex: 0 });
    this.overlay.setAttribute("role", "application");
    this.tip = element("div", { className: "tl-tip", hidden: true });
    this.board = element("div", { className: "tl-board" }, this.picture, this.overlay, this.tip);
    const bar = element(
      "div",
      { className: "tl-bar" },
      this.status,
      button("+", "Zoom in", () => this.zoom(0.5)),
      button("−", "Zoom out", () => this.zoom(2)),
      button("Fit", "Show all of the time axis", () => this.look(this.whole)),
      button("PNG", "Save the chart as PNG", () => this.savePng()),
      button("SVG", "Save the chart as SVG", () => this.saveSvg()),
    );
    this.root.replaceChildren(bar, this.board, this.said);
    this.listen();
  }

  take(data) {
    const before = this.data;
    if (before && before.stamp === data.stamp) return;
    this.data = data;
    this.whole = [0, data.end * 1.004 || 1];
    const asked = JSON.stringify([data.view, data.window]);
    if (asked !== this.asked) this.view = data.window || this.whole;
    this.asked = asked;
    this.hovered = null;
    if (!before || before.view !== data.view) this.focused = null;
    else if (this.focused) this.focused.panel = data.panels.find((panel) => panel.key === this.focused.panel.key);
    for (const graph of data.graphs) index(graph);
    for (const panel of data.panels) {
      panel.byRow = panel.rows.map(() => []);
      panel.row.forEach((row, o) => panel.byRow[row].push(o));
      for (const members of panel.byRow) members.sort((a, b) => panel.start[a] - panel.start[b]);
      panel.half = new Map();
      panel.overlapped.forEach(([a, b]) => panel.half.set(a, 0).set(b, 1));
      panel.marked = new Set(panel.outlined);
    }
    this.overlay.setAttribute("aria-label", data.label);
    this.draw();
  }

  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.data && this.root.isConnected) this.draw();
    });
  }

  // ---- where things are

  measure(width) {
    const { panels, rowHeight } = this.data;
    const names = panels.flatMap((panel) => panel.rows);
    this.left = Math.min(170, 30 + 7 * Math.max(...names.map((name) => name.length)));
    this.width = width;
    this.legend = legendPlaces(this.data.legend, this.left, width);
    let y = LEGEND + LEGEND_LINE * (this.legend.at(-1)?.line ?? 0);
    for (const panel of panels) {
      y += TITLE + (panel.note ? NOTE : 0);
      panel.top = y;
      panel.tall = rowHeight[panels.indexOf(panel)] * panel.rows.length;
      y += panel.tall + 8;
      panel.memoryTop = y;
      if (panel.memory) y += MEMORY + 10;
    }
    this.axis = y;
    this.height = y + AXIS;
  }

  x(time) {
    const [low, high] = this.view;
    return this.left + ((time - low) / (high - low)) * (this.width - this.left - RIGHT);
  }

  time(x) {
    const [low, high] = this.view;
    return low + ((x - this.left) / (this.width - this.left - RIGHT)) * (high - low);
  }

  cell(panel, o) {
    const tall = panel.tall / panel.rows.length;
    const x = this.x(panel.start[o]);
    const half = panel.half.get(o);
    const share = half === undefined ? 1 : 0.5;
    return {
      x,
      y: panel.top + tall * (panel.row[o] + (half ? 0.5 : 0)) + 0.03 * tall,
      width: this.x(panel.start[o] + panel.length[o]) - x,
      height: 0.94 * tall * share,
    };
  }

  /** Screen rectangle of an operator, for tests. */
  box(key, o) {
    const found = this.cell(this.data.panels.find((panel) => panel.key === key), o);
    const board = this.overlay.getBoundingClientRect();
    return { ...found, x: board.x + found.x, y: board.y + found.y };
  }

  /** Operator of a panel at a place of its row; null where the row is idle. */
  operatorAt(panel, row, time, lower = false) {
    const members = panel.byRow[row];
    for (let i = after(panel, members, time) - 1, seen = 0; i >= 0 && seen < 3; i--, seen++) {
      const o = members[i];
      if (time > panel.start[o] + panel.length[o]) continue;
      const half = panel.half.get(o);
      if (half === undefined || Boolean(half) === lower) return o;
    }
    return null;
  }

  find(event) {
    const board = this.overlay.getBoundingClientRect();
    const [x, y] = [event.clientX - board.x, event.clientY - board.y];
    const inside = x >= this.left && x <= this.width - RIGHT;
    const place = { x, y, time: this.time(x), panel: null, o: null, memory: null };
    if (!inside) return place;
    for (const panel of this.data.panels) {
      if (y >= panel.top && y < panel.top + panel.tall) {
        const row = ((y - panel.top) / panel.tall) * panel.rows.length;
        place.panel = panel;
        place.o = this.operatorAt(panel, Math.floor(row), place.time, row % 1 >= 0.5);
      } else if (panel.memory && y >= panel.memoryTop && y < panel.memoryTop + MEMORY) {
        place.memory = panel;
      }
    }
    return place;
  }

  // ---- drawing

  draw() {
    const width = Math.floor(this.root.clientWidth);
    if (width < 50) return;
    this.measure(width);
    const sharp = window.devicePixelRatio || 1;
    for (const canvas of [this.picture, this.overlay]) {
      canvas.width = width * sharp;
      canvas.height = this.height * sharp;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${this.height}px`;
    }
    this.board.style.height = `${this.height}px`;
    const context = this.picture.getContext("2d");
    context.scale(sharp, sharp);
    this.hidden = this.shown = 0;
    paint(this, new CanvasPen(context, this.data.font));
    this.point();
    this.report();
  }

  report() {
    const [low, high] = this.view;
    const unit = this.data.unit;
    const parts = [];
    if (low > 0 || high < this.data.end) parts.push(`${number(low)} – ${number(high)} ${unit} of ${number(this.data.end)}`);
    if (this.hidden) parts.push(`${this.hidden.toLocaleString("en-US")} labels need more room: zoom in (+)`);
    this.status.textContent = parts.join(" · ");
    this.root.dataset.drawn = String(this.shown);
    this.root.dataset.hidden = String(this.hidden);
    this.root.dataset.stamp = this.data.stamp;
  }

  // ---- pointing

  point() {
    const context = this.overlay.getContext("2d");
    const sharp = window.devicePixelRatio || 1;
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const pen = new CanvasPen(context, this.data.font);
    const { colours } = this.data;
    pen.clip(this.left, 0, this.width - RIGHT - this.left, this.height);
    if (this.cursor !== undefined && this.cursor !== null)
      pen.line([[this.x(this.cursor), LEGEND], [this.x(this.cursor), this.axis]], colours.muted, 1, [3, 3]);
    const chosen = this.hovered || this.focused;
    if (chosen) {
      const { panel, o } = chosen;
      const graph = this.data.graphs[panel.graph];
      const here = this.cell(panel, o);
      for (const [others, side] of [[sources(graph, o), 0], [targets(graph, o), 1]])
        for (const other of others) {
          const there = this.cell(panel, other);
          const [from, to] = side ? [here, there] : [there, here];
          pen.line(
            [[from.x + from.width, from.y + from.height / 2], [to.x, to.y + to.height / 2]],
            side ? colours.accent : colours.limit, 1.6,
          );
          pen.frame(there.x, there.y, there.width, there.height, side ? colours.accent : colours.limit, 2);
        }
      pen.frame(here.x, here.y, here.width, here.height, colours.outline, 2.6);
    }
    pen.unclip();
  }

  lines(panel, o) {
    const graph = this.data.graphs[panel.graph];
    const unit = this.data.unit;
    const finish = (other) => panel.start[other] + panel.length[other];
    const facts = [this.data.kinds[graph.kind[o]]];
    if (graph.stage[o] >= 0) facts.push(`stage ${graph.stage[o]}`);
    if (graph.batch[o] >= 0) facts.push(`micro-batch ${graph.batch[o]}`);
    const before = [...sources(graph, o)].sort((a, b) => finish(b) - finish(a));
    const later = [...targets(graph, o)].sort((a, b) => panel.start[a] - panel.start[b]);
    const named = (found, when, word) =>
      found.slice(0, 3).map((other) => `${graph.ids[other]} (${word} ${number(when(other))})`).join(", ") +
      (found.length > 3 ? ` and ${found.length - 3} more` : "") || "nothing";
    return [
      `${graph.ids[o]} on ${panel.devices[panel.row[o]]}`,
      facts.join(", "),
      `${number(panel.start[o])} → ${number(finish(o))} ${unit} (takes ${number(panel.length[o])})`,
      `waits for ${named(before, finish, "ends")}`,
      `waited for by ${named(later, (other) => panel.start[other], "starts")}`,
    ];
  }

  memoryLines(panel, time) {
    const unit = this.data.memoryUnit;
    const now = panel.memory.lines.map((line) => {
      let i = line.time.length - 1;
      while (i > 0 && line.time[i] > time) i -= 1;
      return [line.name, line.used[i]];
    });
    now.sort((a, b) => b[1] - a[1]);
    return [
      `${panel.title} at ${number(time)} ${this.data.unit}`,
      ...now.slice(0, 8).map(([name, used]) => `${name} holds ${number(used)} ${unit}`),
      ...(now.length > 8 ? [`and ${now.length - 8} devices that hold less`] : []),
    ];
  }

  showTip(lines, x, y) {
    this.tip.hidden = !lines;
    if (!lines) return;
    this.tip.replaceChildren(...lines.map((words, i) => element(i ? "div" : "b", { textContent: words })));
    const wide = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, x + 16 + wide > this.width ? x - wide - 16 : x + 16)}px`;
    this.tip.style.top = `${y + 16}px`;
  }

  hover(event) {
    const place = this.find(event);
    this.cursor = place.panel || place.memory ? place.time : null;
    this.hovered = place.o === null ? null : { panel: place.panel, o: place.o };
    let lines = null;
    if (this.hovered) lines = this.lines(place.panel, place.o);
    else if (place.memory) lines = this.memoryLines(place.memory, place.time);
    this.showTip(lines, place.x, place.y);
    this.point();
  }

  rest() {
    this.cursor = this.hovered = null;
    this.tip.hidden = true;
    this.point();
  }

  // ---- zoom and pan

  look([low, high]) {
    const least = this.data.end / 1e5 || 1e-9;
    const span = Math.min(Math.max(high - low, least), this.whole[1] - this.whole[0]);
    const start = Math.min(Math.max(low, this.whole[0]), this.whole[1] - span);
    this.view = [start, start + span];
    this.soon();
  }

  zoom(factor, around = (this.view[0] + this.view[1]) / 2) {
    const [low, high] = this.view;
    this.look([around - (around - low) * factor, around + (high - around) * factor]);
  }

  listen() {
    const { overlay } = this;
    overlay.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.find(event).time);
    }, { passive: false });
    overlay.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.drag = { x: event.clientX, y: event.clientY, view: this.view, moved: false };
      overlay.setPointerCapture(event.pointerId);
    });
    overlay.addEventListener("pointermove", (event) => {
      if (!this.data) return;
      if (!this.drag) return this.hover(event);
      const away = event.clientX - this.drag.x;
      this.drag.moved ||= Math.abs(away) > CLICK;
      if (!this.drag.moved) return;
      const [low, high] = this.drag.view;
      const by = (away / (this.width - this.left - RIGHT)) * (high - low);
      this.rest();
      this.look([low - by, high - by]);
    });
    overlay.addEventListener("pointerup", (event) => {
      const drag = this.drag;
      this.drag = null;
      if (!drag || drag.moved) return;
      const place = this.find(event);
      this.focused = null;
      this.pick(place.panel, place.o);
    });
    overlay.addEventListener("pointercancel", () => (this.drag = null));
    overlay.addEventListener("pointerleave", () => this.drag || this.rest());
    overlay.addEventListener("dblclick", (event) => this.zoom(0.4, this.find(event).time));
    overlay.addEventListener("keydown", (event) => this.key(event));
    overlay.addEventListener("blur", () => {
      this.focused = null;
      this.point();
    });
  }

  pick(panel, o) {
    const next = panel && o !== null ? [panel.key, o] : null;
    if (next || this.data.panels.some((shown) => shown.outlined.length)) this.tell(next);
  }

  key(event) {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key in moves) this.step(...moves[event.key]);
    else if (event.key === "Enter" && this.focused) this.pick(this.focused.panel, this.focused.o);
    else if (event.key === "Escape") this.pick(null, null);
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === "0") this.look(this.whole);
    else return;
    event.preventDefault();
  }

  /** Move the keyboard's operator: along its row, or to the row above or below. */
  step(down, along) {
    const { panels } = this.data;
    if (!this.focused) {
      const panel = panels.find((shown) => shown.start.length);
      if (panel) this.focus(panel, panel.byRow.find((members) => members.length)[0]);
      return;
    }
    const { panel, o } = this.focused;
    if (along) {
      const members = panel.byRow[panel.row[o]];
      const next = members[members.indexOf(o) + along];
      if (next !== undefined) this.focus(panel, next);
      return;
    }
    const rows = panels.flatMap((shown) => shown.byRow.map((members) => [shown, members]));
    let i = rows.findIndex(([, members]) => members === panel.byRow[panel.row[o]]) + down;
    while (rows[i] && !rows[i][1].length) i += down;
    if (!rows[i]) return;
    const [other, members] = rows[i];
    this.focus(other, members[Math.max(0, after(other, members, panel.start[o]) - 1)]);
  }

  focus(panel, o) {
    this.focused = { panel, o };
    this.hovered = null;
    const [low, high] = this.view;
    const middle = panel.start[o] + panel.length[o] / 2;
    if (middle < low || middle > high) this.look([middle - (high - low) / 2, middle + (high - low) / 2]);
    const { x, y, width, height } = this.cell(panel, o);
    const lines = this.lines(panel, o);
    this.showTip(lines, x + width, y + height);
    this.said.textContent = `${panel.title}: ${lines.join("; ")}`;
    this.point();
  }

  // ---- files

  save(blob, name) {
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  savePng() {
    const canvas = element("canvas", { width: 2 * this.width, height: 2 * this.height });
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    paint(this, new CanvasPen(context, this.data.font));
    canvas.toBlob((blob) => this.save(blob, "schedules.png"), "image/png");
  }

  saveSvg() {
    const pen = new SvgPen(this.data.font);
    paint(this, pen);
    this.save(new Blob([pen.file(this.width, this.height)], { type: "image/svg+xml" }), "schedules.svg");
  }
}

/** Edges of a graph by source and by target. */
function index(graph) {
  const n = graph.ids.length;
  for (const [name, end, other] of [["out", graph.from, graph.to], ["in", graph.to, graph.from]]) {
    const first = new Int32Array(n + 1);
    for (const o of end) first[o + 1] += 1;
    for (let o = 0; o < n; o++) first[o + 1] += first[o];
    const next = first.slice();
    const list = new Int32Array(end.length);
    end.forEach((o, e) => (list[next[o]++] = other[e]));
    graph[name] = { first, list };
  }
}

const neighbours = ({ first, list }, o) => new Set(list.subarray(first[o], first[o + 1]));
const sources = (graph, o) => neighbours(graph.in, o);
const targets = (graph, o) => neighbours(graph.out, o);
