// The canvas of the graph editor. What is done here is shown at once and told to Python as a list
// of edits; Python alone judges them. When it refuses one, undoes or redraws, it sends the graph
// under a higher `rev`, and that graph replaces what is shown.
import cytoscape from "./vendor/cytoscape.esm.min.js";
import dagre from "./vendor/cytoscape-dagre.min.js";

const version = new URL(import.meta.url).search; // all parts are fetched anew together
const { partLabels } = await import(`./editor_labels.js${version}`);

cytoscape.use(dagre);

const editors = new WeakMap();
const places = new Map(); // positions by drawing, so that they outlive a change of the page
// Edits that Python has not yet said it took, each with a number that only grows, and the first
// free numbers for new names. They outlive the canvas, so that an edit made just before the page
// changed is told when it is shown again.
const told = { seq: 0, pending: [], time: 0, shown: 0, drawing: undefined, free: {} };
const PATIENCE = 3000; // milliseconds until an unanswered message is repeated, doubled each time
const READABLE = 0.65; // zoom below which labels are too small to read
const REACH = 16; // pixels around an operator in which its port stays

/** Show the data of a component; return what to do when it leaves the page. */
export function show({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".graph-editor");
  if (!editors.has(root)) editors.set(root, new Editor(root));
  const editor = editors.get(root);
  editor.post = (message) => setStateValue("edits", message);
  editor.take(data);
  return () => setTimeout(() => root.isConnected || editor.leave(), 0);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function number(value) {
  return Number(Number(value).toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}

class Editor {
  constructor(root) {
    this.root = root;
    this.rev = -1;
    this.patience = PATIENCE;
    this.build();
    this.cy = cytoscape({
      container: this.graph,
      minZoom: 0.03,
      maxZoom: 3,
      boxSelectionEnabled: true,
      autounselectify: false,
      selectionType: "single",
    });
    this.listen();
    this.watch = new ResizeObserver(() => this.resized());
    this.watch.observe(this.canvas);
    root.cytoscape = this.cy; // for tests: where an operator is on the screen
  }

  leave() {
    clearTimeout(this.repeat);
    this.watch.disconnect();
    this.cy.destroy();
    editors.delete(this.root);
  }

  // ---- parts of the page

  build() {
    const button = (label, title, act, main) =>
      element("button", { type: "button", textContent: label, title, onclick: act, className: main ? "ge-main" : "" });
    this.buttons = {
      add: button("Add operator", "Or double-click where it is to stand", () => this.addInView(), true),
      undo: button("Undo", "Ctrl-Z", () => this.tell({ do: "undo" })),
      redo: button("Redo", "Ctrl-Shift-Z", () => this.tell({ do: "redo" })),
      delete: button("Delete", "Delete key", () => this.deleteChosen()),
      layout: button("Lay out", "Arrange from left to right", () => this.layOut()),
      fit: button("Fit", "Show everything", () => this.fit()),
      less: button("−", "Zoom out", () => this.zoom(1 / 1.4)),
      more: button("+", "Zoom in", () => this.zoom(1.4)),
    };
    this.search = element("input", { type: "search", placeholder: "Find an operator", ariaLabel: "Find an operator" });
    this.search.oninput = () => this.find(false);
    this.count = element("span");
    const bar = element("div", { className: "ge-bar" }, ...Object.values(this.buttons),
      element("span", { className: "ge-gap" }), this.count, this.search);
    this.graph = element("div", { className: "ge-graph" });
    this.port = element("div", { className: "ge-port", hidden: true, title: "Drag to another operator" });
    this.tip = element("div", { className: "ge-tip", hidden: true });
    this.wire = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.wire.setAttribute("class", "ge-wire");
    this.line = this.wire.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "line"));
    this.wire.style.display = "none";
    this.said = element("div", { className: "ge-said", hidden: true, role: "alert" });
    this.promise = element("div", { textContent: "With its first operator it becomes the chosen problem." });
    this.empty = element("div", { className: "ge-empty", hidden: true },
      element("div", {}, "This graph has no operators yet."),
      element("button", { type: "button", className: "ge-main", textContent: "Add your first operator", onclick: () => this.addInView() }),
      element("div", {}, "or double-click anywhere"), this.promise);
    this.canvas = element("div", { className: "ge-canvas" }, this.graph, this.wire, this.port, this.tip, this.said, this.empty);
    this.panel = element("div", { className: "ge-panel" });
    this.panel.setAttribute("role", "region");
    this.panel.setAttribute("aria-live", "polite");
    this.panel.setAttribute("aria-label", "What is selected");
    this.root.replaceChildren(bar, this.canvas, this.panel);
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "application");
    this.root.setAttribute("aria-label", "Graph editor: operators and tensors, the same as in the tables below");
  }

  // ---- what Python says

  take(data) {
    const before = this.data;
    this.data = data;
    const recoloured = !before || before.theme.name !== data.theme.name;
    if (recoloured) this.cy.style(this.style());
    const taken = told.pending.filter((edit) => edit.seq <= data.applied);
    told.seq = Math.max(told.seq, data.applied);
    told.pending = told.pending.filter((edit) => edit.seq > data.applied);
    if (taken.length) this.patience = PATIENCE;
    // An edit may have been taken after what it was made on had gone from the screen.
    const unseen = taken.some((edit) => edit.shown !== this.shown);
    if (data.rev > this.rev || unseen || before.drawing !== data.drawing) {
      this.shown = ++told.shown;
      this.rev = data.rev;
      this.replace(before);
    }
    if (data.choosing) this.send(); // Python waits to hear that the problem's new key is known
    else this.repeatLater();
    const refused = data.refused || "";
    this.said.hidden = !refused;
    if (refused) {
      this.said.replaceChildren(element("span", { textContent: refused }),
        element("button", { type: "button", textContent: "✕", ariaLabel: "Close", onclick: () => (this.said.hidden = true) }));
    }
    const known = told.drawing === data.drawing ? told.free : { op: 0, t: 0 };
    told.free = { op: Math.max(known.op, data.free.op), t: Math.max(known.t, data.free.t) };
    told.drawing = data.drawing;
    this.refresh();
  }

  replace(before) {
    const { cy, data } = this;
    const same = before && before.drawing === data.drawing;
    const chosen = same ? cy.$(":selected").map((item) => item.id()) : [];
    const known = places.get(data.drawing) || new Map();
    if (same) cy.nodes().forEach((node) => { if (!node.isParent()) known.set(node.id(), { ...node.position() }); });
    const shown = new Set(same ? cy.nodes().map((node) => node.id()) : []);
    places.clear();
    places.set(data.drawing, known);
    cy.batch(() => {
      cy.elements().remove();
      cy.add(data.groups.map((box) => ({ group: "nodes", data: { id: box.node, label: box.label, path: box.path, parent: box.parent || undefined }, classes: "box" })));
      cy.add(data.nodes.map((item) => this.nodeOf(item)));
      cy.add(data.edges.map((item) => this.edgeOf(item)));
    });
    const leaves = cy.nodes().filter((node) => !node.hasClass("box"));
    const fresh = leaves.filter((node) => !known.has(node.id()));
    leaves.forEach((node) => { if (known.has(node.id())) node.position(known.get(node.id())); });
    const opened = data.merged && leaves.some((node) => !shown.has(node.id()));
    if (opened || fresh.length > leaves.length / 3) this.layOut();
    else {
      fresh.forEach((node) => this.placeBeside(node));
      if (!same) this.fit();
    }
    this.nameBoxes();
    chosen.forEach((id) => cy.getElementById(id).select());
    this.panelOf = undefined; // its fields speak of what was just replaced
    if (!same) this.panel.replaceChildren();
  }

  nodeOf({ node, row, parent, label, count, kind, path }) {
    if (!row) {
      return { group: "nodes", classes: kind === "mixed" ? "group mixed" : "group", data: { id: node, parent: parent || undefined, path, label: `${label}\n${number(count)} operators`, w: Math.max(110, label.length * 8 + 24), ...this.colours(kind) } };
    }
    return { group: "nodes", data: { id: node, parent: parent || undefined, row, ...this.looks(row) } };
  }

  looks(row) {
    const time = typeof row.duration === "object" ? Object.values(row.duration) : [row.duration];
    const unit = this.data.units.time || "";
    const label = `${row.id}\n${time.map(number).join(" / ")} ${unit}`;
    const widest = Math.max(...label.split("\n").map((line) => line.length));
    return { label, w: Math.min(260, Math.max(64, widest * 7.4 + 20)), ...this.colours(row.kind) };
  }

  colours(kind) {
    const look = this.data.kinds.find((item) => item.kind === (kind || "other")) || this.data.kinds.at(-1);
    return { fill: look.fill, ink: look.ink };
  }

  edgeOf({ source, target, row, count }) {
    if (!row) return { group: "edges", classes: "several", data: { source, target, label: count === 1 ? "" : `${number(count)} tensors` } };
    return { group: "edges", data: { source, target, row, label: row.size ? `${number(row.size)} ${this.data.units.memory || ""}` : "" } };
  }

  style() {
    const look = this.data.theme;
    return [
      { selector: "node", style: { shape: "round-rectangle", width: "data(w)", height: 44, label: "data(label)", "text-wrap": "wrap", "text-max-width": "data(w)", "text-valign": "center", "font-size": 13, "line-height": 1.25, "font-family": getComputedStyle(this.root).fontFamily, color: "data(ink)", "background-color": "data(fill)" } },
      { selector: "node.group", style: { shape: "round-rectangle", height: 56, "border-width": 3, "border-style": "double", "border-color": "data(ink)", "font-weight": "bold" } },
      { selector: "node.mixed", style: { "background-color": look.grid, "border-color": look.muted, color: look.text } },
      { selector: "node.box", style: { shape: "round-rectangle", "background-color": look.idle, "background-opacity": 0.6, "border-width": 1, "border-color": look.muted, "border-style": "dashed", color: look.text, "text-valign": "top", "text-halign": "center", padding: 14, "font-size": 14 } },
      { selector: "edge", style: { width: 1.6, "curve-style": "bezier", "line-color": look.muted, "target-arrow-color": look.muted, "target-arrow-shape": "triangle", "arrow-scale": 1.1, "font-size": 11, "font-family": getComputedStyle(this.root).fontFamily, color: look.text, "text-background-color": look.paper, "text-background-opacity": 0.85, "text-background-padding": 2, "min-zoomed-font-size": 7 } },
      { selector: "edge.said, edge.several, edge:selected", style: { label: "data(label)" } },
      { selector: "node:selected", style: { "border-width": 3, "border-style": "solid", "border-color": look.text } },
      { selector: "edge:selected", style: { width: 3, "line-color": look.accent, "target-arrow-color": look.accent } },
      { selector: "node.found", style: { "border-width": 4, "border-color": look.accent, "border-style": "solid" } },
      { selector: "node.target", style: { "border-width": 4, "border-color": look.accent, "border-style": "solid" } },
      { selector: ":active", style: { "overlay-opacity": 0.08 } },
    ];
  }

  // ---- telling Python

  tell(edit) {
    this.said.hidden = true;
    this.fitted = false;
    told.pending.push({ seq: ++told.seq, drawing: this.data.drawing, rev: this.rev, shown: this.shown, ...edit });
    this.patience = PATIENCE;
    this.send();
  }

  /** Send all that Python has not taken. */
  send() {
    this.post({ key: this.data.key, time: ++told.time, list: [...told.pending] });
    this.repeatLater();
  }

  /** A message may get lost on its way or inside a rerun, so it is repeated until it is answered;
   * ever less often, for each repetition makes a slow server begin its answer anew. */
  repeatLater() {
    clearTimeout(this.repeat);
    this.root.dataset.waiting = told.pending.length + (this.data.choosing ? 1 : 0); // for tests
    if (told.pending.length || this.data.choosing) this.repeat = setTimeout(() => {
      this.patience *= 2;
      this.send();
    }, this.patience);
  }

  add(position) {
    const id = `op${told.free.op++}`;
    const last = this.cy.$("node:selected[row]").last();
    const row = { id, duration: 1 };
    const like = last.nonempty() ? last.data("row").kind : undefined;
    if (like) row.kind = like;
    if (!this.data.merged) {
      const node = this.cy.add({ ...this.nodeOf({ node: `o:${id}`, row }), position });
      this.cy.$(":selected").unselect();
      node.select();
    }
    this.tell({ do: "add", table: "operators", row });
    this.refresh();
    this.root.focus({ preventScroll: true });
  }

  addInView() {
    const { x1, x2, y1, y2 } = this.cy.extent();
    const at = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
    const step = 70;
    const free = (p) => this.cy.nodes().every((n) => Math.abs(n.position("x") - p.x) > 120 || Math.abs(n.position("y") - p.y) > step - 10);
    for (let i = 0; i < 40 && !free(at); i++) at.y += step;
    this.add(at);
    if (at.y > y2) this.fit();
  }

  connect(source, target) {
    const tensor = `t${told.free.t++}`;
    const row = { id: tensor, producer: source.data("row").id, consumers: [target.data("row").id] };
    const edge = this.cy.add(this.edgeOf({ source: source.id(), target: target.id(), row }));
    this.cy.$(":selected").unselect();
    edge.select();
    this.tell({ do: "connect", source: row.producer, target: row.consumers[0], tensor });
    this.refresh();
  }

  deleteChosen() {
    const chosen = this.cy.$(":selected[row]");
    if (chosen.empty()) return;
    const rows = chosen.nodes().map((node) => node.data("row").id);
    const edges = chosen.edges().map((edge) => [edge.data("row").id, edge.target().data("row").id]);
    chosen.remove();
    this.tell({ do: "delete", rows: rows.length ? { operators: rows } : {}, edges });
    this.refresh();
  }

  set(shown, fields) {
    const id = shown.data("row").id;
    // Python may have replaced the graph since the form was made.
    const now = this.cy.$("[row]").filter((one) => one.group() === shown.group() && one.data("row").id === id);
    const item = now.nonempty() ? now[0] : shown;
    const before = item.data("row");
    const row = { ...before, ...fields };
    const table = item.isNode() ? "operators" : "tensors";
    if (item.isNode()) {
      item.data({ row, ...this.looks(row) });
      if (fields.id) this.renamed(item, before.id, fields.id);
    } else {
      this.cy.edges().filter((edge) => edge.data("row")?.id === before.id).forEach((edge) => {
        edge.data({ row, label: this.edgeOf({ row }).data.label });
      });
    }
    this.tell({ do: "set", table, id: before.id, fields });
    this.refresh(true);
  }

  renamed(node, old, name) {
    places.get(this.data.drawing).set(`o:${name}`, { ...node.position() });
    const swap = (id) => (id === old ? name : id);
    node.connectedEdges().forEach((edge) => {
      const row = edge.data("row");
      edge.data("row", { ...row, producer: swap(row.producer), consumers: row.consumers.map(swap) });
    });
  }

  // ---- the panel beside the canvas

  refresh(keepPanel = false) {
    const { cy } = this;
    const chosen = cy.$(":selected[row]");
    const { can, total, merged } = this.data;
    this.buttons.undo.disabled = !can.undo && !told.pending.length;
    this.buttons.redo.disabled = !can.redo;
    this.buttons.delete.disabled = chosen.empty();
    const apart = cy.nodes().length > 1 && cy.edges().empty();
    this.count.textContent = merged ? `${number(total)} operators, in groups`
      : apart ? "Drag from an operator's right edge to another one to connect them" : "";
    this.empty.hidden = cy.nodes().nonempty();
    this.promise.hidden = !this.data.new;
    cy.edges("[row]").toggleClass("said", cy.edges().length <= 60);
    partLabels(cy);
    const name = chosen.length === 1 ? `${chosen.id()} ${JSON.stringify(chosen.data("row"))}` : `${chosen.length}`;
    const fields = () => [...this.panel.querySelectorAll("input, select")];
    const at = fields().indexOf(document.activeElement);
    if (fields()[at]?.dataset.typed) return; // it would be lost
    const same = name === this.panelOf && chosen.length;
    this.panelOf = name;
    if (same || (keepPanel && chosen.length === 1)) return;
    this.panel.replaceChildren(...(chosen.length === 1 ? this.form(chosen[0]) : this.hints(chosen.length)));
    if (chosen.length === 1) fields()[at]?.focus();
  }

  hints(count) {
    const key = (name, text) => element("li", {}, element("kbd", { textContent: name }), ` ${text}`);
    const kinds = new Set(this.data.nodes.map((item) => item.row?.kind || item.kind || "other"));
    const keys = this.data.kinds.filter((item) => kinds.has(item.kind));
    if (kinds.has("mixed")) keys.push({ fill: this.data.theme.grid, title: "several kinds" });
    return [
      element("h4", { textContent: count ? `${count} selected` : "Nothing selected" }),
      element("p", { textContent: this.data.merged ? "Double-click a group to open it, and its box to close it. Click an operator to edit it." : "Click an operator or an arrow to edit it. Drag the round port on an operator's right to another operator to connect them." }),
      element("ul", {}, key("double-click", "adds an operator"), key("Arrow keys", "go from one to the next"), key("Enter", this.data.merged ? "opens a group or edits an operator" : "edits what is selected"), key("Delete", "deletes it"), key("Ctrl-Z", "undoes"), key("Ctrl-Shift-Z", "redoes"), key("Shift-drag", "selects several")),
      element("div", { className: "ge-key" }, ...keys.map((item) => {
        const patch = element("i");
        patch.style.background = item.fill;
        return element("span", {}, patch, item.title);
      })),
    ];
  }

  form(item) {
    const row = item.data("row");
    const { units, devices, kinds } = this.data;
    const keep = (input, read) => {
      input.oninput = () => { input.dataset.typed = "yes"; };
      input.onchange = () => { delete input.dataset.typed; this.set(item, read(input)); };
      input.onkeydown = (event) => {
        if (event.key === "Enter") { input.blur(); this.root.focus({ preventScroll: true }); }
      };
      return input;
    };
    const text = (label, field, more = {}) => element("label", {}, label,
      keep(element("input", { value: row[field] ?? "", ...more }), (input) => ({ [field]: input.value.trim() || null })));
    const amount = (label, field, more = {}) => element("label", {}, label,
      keep(element("input", { type: "number", step: "any", value: row[field] ?? "", ...more }), (input) => ({ [field]: input.value === "" ? null : Number(input.value) })));
    const names = (label, field, more = {}) => element("label", {}, label,
      keep(element("input", { value: (row[field] || []).join(", "), ...more }), (input) => ({ [field]: input.value.split(",").map((part) => part.trim()).filter(Boolean) })));
    const two = (...inner) => element("div", { className: "ge-two" }, ...inner);
    const remove = element("button", { type: "button", textContent: "Delete", onclick: () => this.deleteChosen() });
    if (item.isEdge()) {
      return [
        element("h4", { textContent: "Tensor" }),
        text("id", "id"),
        element("p", { textContent: `${row.producer} → ${(row.consumers || []).join(", ")}` }),
        amount(`size (${units.memory})`, "size", { min: 0, placeholder: "0" }),
        amount(`transfer (${units.time})`, "transfer", { placeholder: "by the link" }),
        element("label", {}, keep(element("input", { type: "checkbox", checked: !!row.output }), (input) => ({ output: input.checked || null })), " output: kept to the end"),
        remove,
      ];
    }
    const times = typeof row.duration === "object"
      ? Object.keys(row.duration).map((type) => element("label", {}, `duration on ${type} (${units.time})`,
          keep(element("input", { type: "number", step: "any", value: row.duration[type] }), (input) => ({ duration: { ...item.data("row").duration, [type]: Number(input.value) } }))))
      : [amount(`duration (${units.time})`, "duration")];
    const kind = keep(element("select", {}, ...kinds.map((one) => element("option", { value: one.kind, textContent: one.title, selected: one.kind === (row.kind || "other") }))),
      (input) => ({ kind: input.value === "other" ? null : input.value }));
    return [
      element("h4", { textContent: "Operator" }),
      text("id", "id"),
      ...times,
      element("label", {}, "kind", kind),
      two(amount("stage", "stage", { step: 1, placeholder: "none" }), amount(`workspace (${units.memory})`, "workspace", { placeholder: "0" })),
      two(text("stream", "stream", { placeholder: "compute" }), text("colocate", "colocate", { placeholder: "none" })),
      names("devices", "devices", { placeholder: "any", title: `Separated by commas: ${devices.slice(0, 12).join(", ")}` }),
      remove,
    ];
  }

  // ---- mouse and keys

  listen() {
    const { cy } = this;
    cy.on("select unselect", () => { clearTimeout(this.soon); this.soon = setTimeout(() => this.refresh(), 0); });
    cy.on("pan zoom", () => { this.port.hidden = true; this.fitted = false; });
    cy.on("zoom", () => this.nameBoxes());
    cy.on("dragfree", "node", () => this.remember());
    cy.on("position", "node", () => { cancelAnimationFrame(this.moving); this.moving = requestAnimationFrame(() => partLabels(cy)); });
    this.graph.addEventListener("dblclick", (event) => this.doubleClicked(this.at(event)));
    this.canvas.addEventListener("mousemove", (event) => this.moved(event));
    this.canvas.addEventListener("mouseleave", () => { this.port.hidden = this.tip.hidden = true; });
    this.port.addEventListener("pointerdown", (event) => this.pull(event));
    this.canvas.addEventListener("mousedown", () => this.root.focus({ preventScroll: true }));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.search.addEventListener("keydown", (event) => { if (event.key === "Enter") this.find(true); });
  }

  key(event) {
    event.stopPropagation(); // letters are shortcuts of the page around
    if (event.target.matches("input, select, button")) {
      if (event.key === "Escape") this.root.focus({ preventScroll: true });
      return;
    }
    const control = event.ctrlKey || event.metaKey;
    const name = event.key.toLowerCase();
    if (name === "delete" || name === "backspace") this.deleteChosen();
    else if (control && name === "z") this.tell({ do: event.shiftKey ? "redo" : "undo" });
    else if (control && name === "y") this.tell({ do: "redo" });
    else if (name === "enter") this.enter();
    else if (name.startsWith("arrow")) this.walk(name === "arrowright" || name === "arrowdown" ? 1 : -1);
    else if (name === "escape") this.cy.$(":selected").unselect();
    else return;
    event.preventDefault();
  }

  enter() {
    const chosen = this.cy.nodes(":selected");
    if (chosen.length === 1 && !chosen.data("row")) this.openOrClose(chosen);
    else this.editChosen();
  }

  /** Select the next or previous operator or group, from left to right. */
  walk(by) {
    const nodes = this.cy.nodes().sort((a, b) => a.position("x") - b.position("x") || a.position("y") - b.position("y"));
    if (nodes.empty()) return;
    const chosen = this.cy.nodes(":selected").last();
    const at = chosen.empty() ? -1 : nodes.indexOf(chosen[0]);
    const next = nodes[at < 0 ? (by > 0 ? 0 : nodes.length - 1) : (at + by + nodes.length) % nodes.length];
    this.cy.$(":selected").unselect();
    next.select();
    const { x1, x2, y1, y2 } = next.renderedBoundingBox();
    const seen = x1 >= 0 && y1 >= 0 && x2 <= this.canvas.clientWidth && y2 <= this.canvas.clientHeight;
    if (!seen) this.cy.center(next);
    this.panel.setAttribute("aria-label", next.data("label"));
  }

  editChosen() {
    setTimeout(() => this.panel.querySelector("input")?.select(), 0);
    this.panel.querySelector("input")?.focus();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  doubleClicked(point) {
    const node = this.nodesAt(point, 0).last(); // children come after the boxes around them
    if (node.empty()) {
      const { x, y } = this.cy.pan();
      const zoom = this.cy.zoom();
      this.add({ x: (point.x - x) / zoom, y: (point.y - y) / zoom });
    } else if (node.data("row")) this.editChosen();
    else this.openOrClose(node);
  }

  openOrClose(node) {
    const what = node.hasClass("box") ? "close" : "open";
    this.opening = what === "open" ? node.id() : undefined;
    this.tell({ do: what, path: node.data("path") });
  }

  operatorAt(point, reach) {
    return this.nodesAt(point, reach).filter("[row]").last();
  }

  nodesAt({ x, y }, reach) {
    return this.cy.nodes().filter((node) => {
      const box = node.renderedBoundingBox({ includeLabels: false, includeOverlays: false });
      return x >= box.x1 - reach && x <= box.x2 + reach && y >= box.y1 - reach && y <= box.y2 + reach;
    });
  }

  moved(event) {
    if (this.pulling || event.buttons) return;
    const point = this.at(event);
    const node = this.operatorAt(point, REACH);
    this.port.hidden = node.empty();
    const small = 13 * this.cy.zoom() < 9;
    this.tip.hidden = node.empty() || !small;
    if (node.empty()) return;
    this.over = node;
    const box = node.renderedBoundingBox({ includeLabels: false, includeOverlays: false });
    this.port.style.left = `${box.x2}px`;
    this.port.style.top = `${(box.y1 + box.y2) / 2}px`;
    this.tip.textContent = node.data("label");
    this.tip.style.left = `${point.x + 16}px`;
    this.tip.style.top = `${point.y + 16}px`;
  }

  pull(event) {
    event.preventDefault();
    event.stopPropagation();
    const source = this.over;
    const start = { x: parseFloat(this.port.style.left), y: parseFloat(this.port.style.top) };
    this.pulling = true;
    this.tip.hidden = true;
    this.port.setPointerCapture(event.pointerId);
    this.wire.style.display = "";
    const aim = (move) => {
      const point = this.at(move);
      const target = this.operatorAt(point, 4);
      this.cy.nodes(".target").removeClass("target");
      if (target.nonempty() && target.id() !== source.id()) target.addClass("target");
      for (const [name, value] of [["x1", start.x], ["y1", start.y], ["x2", point.x], ["y2", point.y]]) this.line.setAttribute(name, value);
      return target;
    };
    const drop = (end) => {
      const target = aim(end);
      this.port.removeEventListener("pointermove", aim);
      this.port.removeEventListener("pointerup", drop);
      this.port.removeEventListener("pointercancel", drop);
      this.cy.nodes(".target").removeClass("target");
      this.wire.style.display = "none";
      this.port.hidden = true;
      this.pulling = false;
      if (end.type === "pointerup" && target.nonempty() && target.id() !== source.id()) this.connect(source, target);
    };
    aim(event);
    this.port.addEventListener("pointermove", aim);
    this.port.addEventListener("pointerup", drop);
    this.port.addEventListener("pointercancel", drop);
  }

  find(enter) {
    const words = this.search.value.trim().toLowerCase();
    this.cy.nodes(".found").removeClass("found");
    if (!words) return;
    const found = this.cy.nodes("[^path], .group").filter((node) => node.data("label").toLowerCase().includes(words));
    found.addClass("found");
    if (found.empty()) return;
    this.nth = enter ? ((this.nth ?? -1) + 1) % found.length : 0;
    const node = found[this.nth];
    this.cy.$(":selected").unselect();
    node.select();
    this.cy.stop().animate({ center: { eles: node }, zoom: Math.max(this.cy.zoom(), 0.9), duration: 150 });
  }

  // ---- where things stand

  layOut() {
    const { cy } = this;
    const rankSep = this.data.merged && cy.nodes().length <= 8 ? 120 : 64; // room for "125 tensors"
    cy.layout({ name: "dagre", rankDir: "LR", nodeSep: 16, rankSep, edgeSep: 8, ranker: cy.nodes().length > 120 ? "tight-tree" : "network-simplex", animate: false, fit: false }).run();
    this.wrap();
    this.spread();
    this.remember();
    this.fit(cy.getElementById(this.opening ?? ""));
    this.opening = undefined;
  }

  /** Break a long, thin drawing into lines like a text, where its labels could not be read. */
  wrap() {
    const { cy, canvas } = this;
    const box = cy.elements().boundingBox({ includeLabels: false });
    if (!canvas.clientWidth || cy.nodes(":parent").nonempty() || canvas.clientWidth > READABLE * box.w) return;
    const lines = Math.floor(Math.sqrt((box.w / box.h) * (canvas.clientHeight / canvas.clientWidth)));
    const width = box.w / lines;
    if (lines > 1) cy.nodes().forEach((node) => {
      const { x, y } = node.position();
      const line = Math.min(lines - 1, Math.floor((x - box.x1) / width));
      node.position({ x: x - line * width, y: y + line * (box.h + 70) });
    });
  }

  /** Keep the names of open groups readable when all of it is seen from afar. */
  nameBoxes() {
    this.cy.nodes(".box").style("font-size", Math.min(60, Math.max(14, 14 / this.cy.zoom())));
  }

  /** Let a drawing that is taller than the window use its width, so that arrows stand apart. */
  spread() {
    const { cy, canvas } = this;
    const box = cy.elements().boundingBox({ includeLabels: false });
    const factor = Math.min(3, (box.h / box.w) * (canvas.clientWidth / canvas.clientHeight));
    if (factor > 1.1) cy.nodes().forEach((node) => { if (!node.isParent()) node.position("x", node.position("x") * factor); });
  }

  placeBeside(node) {
    const before = node.incomers("node").filter((other) => places.get(this.data.drawing).has(other.id()));
    const { x1, x2, y1, y2 } = this.cy.extent();
    const at = before.nonempty() ? { x: before[0].position("x") + 190, y: before[0].position("y") } : { x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
    const free = () => this.cy.nodes().every((other) => other === node || other.id() === node.id() || Math.abs(other.position("x") - at.x) > 120 || Math.abs(other.position("y") - at.y) > 60);
    for (let i = 0; i < 40 && !free(); i++) at.y += 70;
    node.position(at);
  }

  remember() {
    const known = places.get(this.data.drawing);
    this.cy.nodes().forEach((node) => { if (!node.isParent()) known.set(node.id(), { ...node.position() }); });
  }

  resized() {
    this.cy.resize();
    if ((this.unseen || this.fitted) && this.canvas.clientWidth) this.fit();
  }

  fit(part) {
    this.unseen = !this.canvas.clientWidth;
    this.fitted = false;
    if (this.cy.elements().empty()) return;
    this.cy.resize();
    this.cy.fit(part?.nonempty() ? part : undefined, 36);
    if (this.cy.zoom() > 1.25) { this.cy.zoom(1.25); this.cy.center(part?.nonempty() ? part : undefined); }
    this.fitted = !part?.nonempty(); // until the user moves or changes it
  }

  zoom(factor) {
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 } });
  }
}
