// The picture of a timeline: legend, rows, cells, numbers, memory and the axis.
// `view` is the timeline: its data, what it shows of the time axis, and where things are.

export const MEMORY = 78; // height of a memory panel
export const RIGHT = 16;
export const NOTE = 17;
export const LEGEND_LINE = 18;
const BUTTONS = 290; // room kept free at the top right, for buttons and what they say
const DIGIT = 0.56; // width of a digit in font sizes
const SMALLEST = 7; // smallest number written, in pixels
const LARGEST = 12;
const PALE = 0.25;

export function number(value) {
  return Number(Number(value).toPrecision(6)).toLocaleString("en-US", {
    maximumFractionDigits: 6,
    useGrouping: Math.abs(value) >= 1e5,
  });
}

/** Round times for ticks in [low, high], about `count` of them. */
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

/** Number of members that start at a time or before it. */
export function after(panel, members, time) {
  let [low, high] = [0, members.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (panel.start[members[middle]] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Smallest of many numbers, in pieces: a call takes no more arguments than fit its stack. */
function chunked(values) {
  const found = [];
  for (let i = 0; i < values.length; i += 10000) found.push(Math.min(...values.slice(i, i + 10000)));
  return found;
}

export function paint(view, pen) {
  const { colours, panels } = view.data;
  pen.rect(0, 0, view.width, view.height, colours.paper);
  paintLegend(view, pen);
  for (const panel of panels) {
    paintTitle(view, pen, panel);
    paintRows(view, pen, panel);
    if (panel.memory) paintMemory(view, pen, panel);
  }
  const x1 = view.width - RIGHT;
  pen.line([[view.left, view.axis], [x1, view.axis]], colours.grid, 1);
  for (const time of ticks(...view.view, (x1 - view.left) / 110)) {
    const x = view.x(time);
    pen.line([[x, view.axis], [x, view.axis + 5]], colours.muted, 1);
    pen.text(number(time), x, view.axis + 18, 12, colours.muted, { align: "center" });
  }
  pen.text(`time (${view.data.unit})`, (view.left + x1) / 2, view.axis + 36, 13, colours.muted, { align: "center" });
}

/** Where the entries of a legend stand: in as many lines as it takes beside the buttons. */
export function legendPlaces(legend, left, width) {
  let [x, line] = [left, 0];
  return legend.map(([title, colour]) => {
    const long = 36 + 6.6 * title.length;
    if (x > left && x + long > width - BUTTONS) [x, line] = [left, line + 1];
    const place = { title, colour, x, line };
    x += long;
    return place;
  });
}

function paintLegend(view, pen) {
  for (const { title, colour, x, line } of view.legend) {
    pen.rect(x, 10 + LEGEND_LINE * line, 12, 12, colour);
    pen.text(title, x + 17, 21 + LEGEND_LINE * line, 13, view.data.colours.text);
  }
}

function paintTitle(view, pen, panel) {
  const { colours, unit } = view.data;
  const y = panel.top - 8 - (panel.note ? NOTE : 0);
  const said = `${panel.title} — makespan ${number(panel.makespan)} ${unit}`;
  pen.text(said, view.left, y, 15, colours.text, { bold: true });
  if (panel.note) pen.text(panel.note, view.left, y + NOTE, 13, colours.muted);
}

function paintRows(view, pen, panel) {
  const { colours } = view.data;
  const tall = panel.tall / panel.rows.length;
  const every = Math.ceil(11 / tall);
  panel.rows.forEach((name, i) => {
    if (i % every) return;
    const y = panel.top + tall * (i + 0.5) + 4;
    pen.text(name, view.left - 8, y, 12, colours.muted, { align: "right" });
    if (panel.memory && panel.rowColours[i] && tall >= 12)
      pen.rect(view.left - 5, y - 9, 3, 11, panel.rowColours[i]);
  });
  const width = view.width - RIGHT - view.left;
  pen.clip(view.left, panel.top - 2, width, panel.tall + 4);
  const end = view.x(panel.makespan);
  panel.rows.forEach((_, i) => {
    const x = Math.max(view.left, view.x(0));
    pen.rect(x, panel.top + tall * (i + 0.03), Math.max(0, end - x), 0.94 * tall, colours.idle);
  });
  paintCells(view, pen, panel);
  pen.line([[end, panel.top], [end, panel.top + panel.tall]], colours.text, 1.6, [2, 3]);
  pen.unclip();
}

function inView(view, panel) {
  const [low, high] = view.view;
  const found = [];
  for (const members of panel.byRow) {
    // An operator that began earlier may still run: at most one, two where a pair overlaps.
    let i = Math.max(0, after(panel, members, low) - 2);
    for (; i < members.length && panel.start[members[i]] < high; i++)
      if (panel.start[members[i]] + panel.length[members[i]] > low) found.push(members[i]);
  }
  return found;
}

function paintCells(view, pen, panel) {
  const { colours } = view.data;
  const found = inView(view, panel);
  const boxes = found.map((o) => view.cell(panel, o));
  found.forEach((o, i) => {
    const { x, y, width, height } = boxes[i];
    const gap = Math.min(0.8, 0.15 * width);
    const pale = panel.pale && panel.pale[o];
    pen.rect(x, y, Math.max(0.4, width - gap), height, panel.palette[panel.fill[o]], pale ? PALE : 1);
  });
  view.shown += found.length;
  paintNumbers(view, pen, panel, found, boxes);
  for (const o of panel.outlined) {
    const { x, y, width, height } = view.cell(panel, o);
    const asked = o === panel.picked;
    pen.frame(x + 1, y + 1, Math.max(1, width - 2.6), height - 2, asked ? colours.limit : colours.outline, asked ? 3.5 : 2);
  }
}

function paintNumbers(view, pen, panel, found, boxes) {
  const most = Math.min(LARGEST, 0.62 * (panel.tall / panel.rows.length));
  const sizes = found.map((o, i) => {
    const words = panel.label[o];
    return words === "" ? Infinity : Math.min(most, boxes[i].height, (0.94 * boxes[i].width) / (DIGIT * words.length));
  });
  // Numbers of one size are easier to read than numbers as large as each cell allows.
  const common = Math.min(most, ...chunked(sizes));
  found.forEach((o, i) => {
    if (sizes[i] === Infinity) return;
    const size = common >= SMALLEST + 1 ? common : sizes[i];
    if (size < SMALLEST) {
      view.hidden += 1;
      return;
    }
    const { x, y, width, height } = boxes[i];
    const pale = panel.pale && panel.pale[o];
    const ink = pale ? view.data.colours.text : panel.inks[panel.fill[o]];
    pen.text(panel.label[o], x + width / 2, y + height / 2 + 0.36 * size, size, ink, {
      align: "center",
      alpha: pale ? 0.45 : 1,
    });
  });
}

function paintMemory(view, pen, panel) {
  const { colours, memoryUnit } = view.data;
  const { memory, memoryTop: top } = panel;
  const y = (value) => top + MEMORY * (1 - value / (1.08 * memory.top || 1));
  const right = view.width - RIGHT;
  for (const value of ticks(0, memory.top, 3)) {
    pen.line([[view.left, y(value)], [right, y(value)]], colours.grid, 1);
    pen.text(number(value), view.left - 8, y(value) + 4, 11, colours.muted, { align: "right" });
  }
  pen.clip(view.left, top - 1, right - view.left, MEMORY + 2);
  for (const line of memory.lines) {
    const points = [];
    for (let i = 0; i < line.time.length; i++) {
      const x = Math.min(Math.max(view.x(line.time[i]), view.left - 5), right + 5);
      if (i) points.push([x, points[points.length - 1][1]]);
      points.push([x, y(line.used[i])]);
    }
    pen.line(points, line.colour, 1.4);
  }
  for (const limit of memory.limits)
    pen.line([[view.left, y(limit)], [view.x(panel.makespan), y(limit)]], colours.limit, 1.3, [6, 4]);
  pen.unclip();
  const title = `memory (${memoryUnit})`;
  pen.rect(view.left + 2, top + 8, 6 * title.length, 14, colours.paper, 0.85);
  pen.text(title, view.left + 5, top + 19, 12, colours.muted);
}
