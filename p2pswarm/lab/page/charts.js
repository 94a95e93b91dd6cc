"use strict";
// Charts in SVG, drawn for the width they have: lines, bars over named places, dots with their names.
// The pointer and the arrow keys go from place to place; a click on a name hides its line. Dots of one
// name hang together.

const HEIGHT = 300;
const LETTER = 6.4; // px, of a digit at 12 px
const BOLD = 7.3;

class Picture {
  constructor(host, chart, places) {
    Object.assign(this, { host, chart, places, hidden: new Set(), chosen: -1 });
    this.tip = make("div", { className: "tip", hidden: true });
    this.tip.setAttribute("role", "status");
    this.plot = make("div", { className: "plot", tabIndex: 0 });
    this.plot.setAttribute("role", "group");
    this.plot.setAttribute("aria-label", `${chart.title}. Arrow keys read the values; the table below has them all.`);
    this.host.append(...(chart.lines.length > 1 && chart.kind !== "scatter" ? [this.names()] : []), this.plot);
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.choose(-1));
    this.plot.addEventListener("blur", () => this.choose(-1));
    this.plot.addEventListener("keydown", (event) => this.key(event));
  }

  colour(line) {
    return `c${this.places[line.label]}`;
  }

  names() {
    const button = (line) => {
      const name = make("button", { type: "button" }, make("i", { className: `dot ${this.colour(line)}` }), line.label);
      name.setAttribute("aria-pressed", "true");
      name.addEventListener("click", () => {
        const shown = !this.hidden.delete(line.label) && this.hidden.add(line.label) && false;
        name.setAttribute("aria-pressed", String(shown || !this.hidden.has(line.label)));
        this.draw();
      });
      return name;
    };
    return make("div", { className: "names" }, ...this.chart.lines.map(button));
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width) return;
    const { chart } = this;
    this.lines = chart.lines.filter((line) => !this.hidden.has(line.label));
    this.cursor = shape("g", {});
    if (chart.kind === "bar" && lie(chart, width)) lyingBars(this, width);
    else this.upright(width);
    this.svg.append(this.cursor);
    this.plot.replaceChildren(this.svg, this.tip);
    this.choose(-1);
  }

  upright(width) {
    const { chart } = this;
    const points = this.lines.flatMap((line) => line.points);
    const ys = points.map(([, y]) => y);
    this.high = HEIGHT;
    const zero = chart.kind !== "scatter" || least(ys) >= 0;
    this.y = scale(ys, { log: chart.log_y, from: HEIGHT - 46, to: 30, zero });
    const left = 12 + LETTER * Math.max(...this.y.marks.map((mark) => short(mark).length));
    this.area = { left, right: width - 14, top: 30, bottom: HEIGHT - 46 };
    this.x = this.across(points.map(([x]) => x));
    this.svg = shape("svg", { width, height: HEIGHT, "aria-hidden": "true" });
    this.frame();
    ({ line: () => this.drawLines(), bar: () => standingBars(this), scatter: () => this.drawDots() })[chart.kind]();
  }

  across(xs) {
    const { chart, area } = this;
    if (chart.kind === "bar") {
      const groups = [...new Set(xs)].sort((a, b) => a - b);
      const wide = (area.right - area.left) / Math.max(1, groups.length);
      return { at: (x) => area.left + (groups.indexOf(x) + 0.5) * wide, marks: groups, wide, shows: () => true };
    }
    const inset = chart.kind === "scatter" ? 14 : 8;
    const sides = { log: chart.log_x, from: area.left + inset, to: area.right - inset };
    const found = scale(xs, sides);
    const own = [...new Set(xs)].sort((a, b) => a - b);
    if (!chart.log_x && own.length <= 10 && own.every(Number.isInteger)) {
      const span = Math.max(1, own.at(-1) - own[0]);
      const at = (x) => sides.from + ((sides.to - sides.from) * (x - own[0])) / span;
      return { ...found, at, marks: own };
    }
    return found;
  }

  frame() {
    const { area, chart } = this;
    this.text(chart.y, 0, 12, "start", "axis");
    this.text(chart.x, area.right, HEIGHT - 6, "end", "axis");
    for (const mark of this.y.marks) {
      const y = this.y.at(mark);
      this.svg.append(shape("line", { x1: area.left, x2: area.right, y1: y, y2: y, class: "grid" }));
      this.text(short(mark), area.left - 7, y + 4, "end", "mark");
    }
    const room = (area.right - area.left) / this.x.marks.length;
    for (const mark of this.x.marks) {
      const shown = shortened(chart.ticks[mark] ?? short(mark), Math.floor(room / LETTER));
      this.text(shown, this.x.at(mark), area.bottom + 18, "middle", "mark");
    }
  }

  text(words, x, y, anchor, name) {
    this.svg.append(shape("text", { x, y, "text-anchor": anchor, class: name }, words));
  }

  visible(line) {
    return line.points.filter(([x, y]) => this.x.shows(x) && this.y.shows(y));
  }

  spot(x, y) {
    return [this.x.at(x), this.y.at(y)];
  }

  drawLines() {
    for (const line of this.lines) {
      const spots = this.visible(line).map(([x, y]) => this.spot(x, y));
      const path = spots.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
      this.svg.append(shape("path", { d: path, class: `curve ${this.colour(line)}` }));
      if (spots.length > 40) continue;
      for (const [cx, cy] of spots) this.svg.append(shape("circle", { cx, cy, r: 3, class: `spot ${this.colour(line)}` }));
    }
    const stops = new Set(this.lines.flatMap((line) => line.points.map(([x]) => x)));
    this.read([...stops].sort((a, b) => a - b), this.x.at);
  }

  // What the pointer and the arrow keys go over, one upright line after the other.
  read(stops, at) {
    const { top, bottom } = this.area;
    this.stops = stops;
    this.far = (index, x) => Math.abs(at(stops[index]) - x);
    this.mark = (stop) => {
      const x = at(stop);
      this.cursor.append(shape("line", { x1: x, x2: x, y1: top, y2: bottom, class: "cursor" }));
      return [x, top];
    };
  }

  drawDots() {
    this.dots = this.lines
      .flatMap((line) => this.visible(line).map(([x, y], index) => ({ line, x, y, first: !index })))
      .sort((a, b) => a.x - b.x);
    const room = { taken: this.dots.map(({ x, y }) => box(this.spot(x, y), 7)), named: [], lines: [] };
    for (const { line, x, y, first } of this.dots) {
      if (first) this.name(line, this.spot(x, y), room);
    }
    for (const line of this.lines) {
      const points = this.visible(line).map(([x, y]) => this.spot(x, y).join(","));
      this.svg.append(shape("polyline", { points: points.join(" "), class: `path ${this.colour(line)}` }));
    }
    for (const { line, x, y } of this.dots) {
      const [cx, cy] = this.spot(x, y);
      this.svg.append(shape("circle", { cx, cy, r: 6, class: `spot ${this.colour(line)}` }));
    }
    this.stops = this.dots;
    this.far = (index, x, y) => {
      const [u, v] = this.spot(this.dots[index].x, this.dots[index].y);
      return Math.hypot(u - x, v - y);
    };
  }

  // Beside its dot, or near it with a line to it, where it covers nothing (p2pswarm/lab/labels.py).
  name(line, [x, y], { taken, named, lines }) {
    const wide = line.label.length * BOLD + 6;
    const spots = [[x + 10, y + 4], [x - 10 - wide, y + 4]];
    for (let level = 1; level < 14; level += 1) {
      for (const base of [y + 4 + level * 17, y + 4 - level * 17]) {
        for (const part of [0.5, 0, 1, -0.4, 1.4]) spots.push([x - part * wide, base]);
      }
    }
    const around = ([left, base]) => ({ left, right: left + wide, top: base - 12, bottom: base + 4 });
    const between = (own) => {
      const end = Math.max(own.left, Math.min(own.right, x));
      const sides = { left: Math.min(x, end) - 1, right: Math.max(x, end) + 1 };
      return { ...sides, top: Math.min(y, own.bottom), bottom: Math.max(y, own.top) };
    };
    const free = (spot) => {
      const own = around(spot);
      const inside = own.left >= this.area.left && own.right <= this.area.right + 10;
      const fits = inside && own.top >= 16 && own.bottom < this.area.bottom;
      return fits && !taken.some((other) => overlap(own, other));
    };
    const clear = (spot) => {
      const own = around(spot);
      return ![...named.map((other) => [between(own), other]), ...lines.map((other) => [own, other])].some((pair) => overlap(...pair));
    };
    const open = spots.filter(free);
    const spot = open.find(clear) ?? open[0] ?? spots[0];
    const own = around(spot);
    named.push(own);
    lines.push(between(own));
    taken.push(own);
    const end = { x2: Math.max(own.left, Math.min(own.right, x)), y2: Math.max(own.top, Math.min(own.bottom, y)) };
    if (Math.hypot(end.x2 - x, end.y2 - y) > 14) {
      this.svg.append(shape("line", { x1: x, y1: y, ...end, class: `leader ${this.colour(line)}` }));
    }
    this.text(line.label, spot[0] + 3, spot[1], "start", `label ${this.colour(line)}`);
  }

  point(event) {
    const frame = this.plot.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const far = (index) => this.far(index, x, y);
    const nearest = this.stops.reduce((best, _, index) => (far(index) < far(best) ? index : best), 0);
    this.choose(this.stops.length ? nearest : -1);
  }

  key(event) {
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
    if (event.key === "Escape") this.choose(-1);
    if (!moves[event.key] || !this.stops.length) return;
    event.preventDefault();
    const count = this.stops.length;
    this.choose(Math.max(0, Math.min(count - 1, this.chosen + moves[event.key])));
  }

  choose(index) {
    this.chosen = index;
    this.tip.hidden = index < 0;
    this.cursor?.replaceChildren();
    if (index < 0) return;
    const [x, y] = this.chart.kind === "scatter" ? this.tell(this.stops[index]) : this.tellAll(this.stops[index]);
    place(this.tip, [x, y], { width: this.plot.clientWidth, height: this.high });
  }

  tell({ line, x, y }) {
    const { chart } = this;
    const lines = [`${chart.x}: ${number(x)}`, `${chart.y}: ${number(y)}`];
    this.tip.replaceChildren(make("b", {}, line.label), ...lines.map((words) => make("div", {}, words)));
    const [cx, cy] = this.spot(x, y);
    this.cursor.append(shape("circle", { cx, cy, r: 10, class: "halo" }));
    return [cx, cy];
  }

  tellAll(stop) {
    const { chart } = this;
    const values = this.lines.flatMap((line) => {
      const point = line.points.find(([x]) => x === stop);
      return point ? [make("div", {}, make("i", { className: `dot ${this.colour(line)}` }), `${line.label}: ${number(point[1])}`)] : [];
    });
    const head = chart.ticks[stop] ?? `${chart.x} ${number(stop)}`;
    this.tip.replaceChildren(make("b", {}, head), ...values);
    return this.mark(stop);
  }
}

function box([x, y], radius) {
  return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
