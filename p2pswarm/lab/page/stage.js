"use strict";
// The canvas that a query is played on. `paint(time)` shows one moment, in hops from the start: the whole
// parts are drawn once into a picture of their own, and only what travels is drawn in each frame.

class Stage {
  constructor(canvas, spread, flow, places, roles) {
    Object.assign(this, { canvas, spread, flow, places, roles });
    this.edges = new Map();
    for (const [a, b] of spread.edges) this.join(a, b);
    spread.nodes.forEach((node, index) => node.parent !== null && this.join(index, node.parent));
    this.settled = null;
  }

  join(a, b) {
    this.edges.set(a < b ? `${a} ${b}` : `${b} ${a}`, [a, b]);
  }

  // Fits everything into the canvas, in the pixels of this screen and the colours of this theme.
  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const dense = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    const xs = this.places.map((place) => place.x);
    const ys = this.places.map((place) => place.y);
    const [left, right, top, bottom] = [least(xs), most(xs), least(ys), most(ys)];
    const margin = 18;
    const wide = Math.max(1, right - left);
    const high = Math.max(1, bottom - top);
    this.scale = Math.min((width - 2 * margin) / wide, (height - 2 * margin) / high, 3.2);
    const x0 = (width - wide * this.scale) / 2 - left * this.scale;
    const y0 = (height - high * this.scale) / 2 - top * this.scale;
    this.at = this.places.map(({ x, y }) => [x0 + x * this.scale, y0 + y * this.scale]);
    this.size = { width, height, dense };
    this.colours = this.read();
    this.settled = null;
  }

  read() {
    const style = getComputedStyle(this.canvas);
    const names = ["card", "line", "fresh", "duplicate", "hit", "text", "role0", "role1", "role2", "role3"];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  colourOf(index) {
    return this.colours[`role${this.roles.indexOf(this.spread.nodes[index].role) % 4}`];
  }

  radius(index) {
    const child = this.spread.nodes[index].parent !== null;
    const crowd = this.places.length > MANY && this.places[index].ring !== undefined;
    const size = child ? 2.9 : crowd ? 3.1 : 6.5;
    return Math.max(child || crowd ? 1.2 : 3, Math.min(size * this.scale, child ? 5 : 10));
  }

  paint(time) {
    const whole = Math.floor(time + 1e-9);
    if (this.settled?.hop !== whole) this.settled = { hop: whole, picture: this.settle(whole) };
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.settled.picture, 0, 0);
    pen.scale(this.size.dense, this.size.dense);
    const part = time - whole;
    if (part > 1e-6) this.travel(pen, whole, part);
    this.answers(pen, time);
    this.marks(pen, time);
  }

  // Everything that stands still after so many hops.
  settle(hop) {
    const picture = document.createElement("canvas");
    picture.width = this.canvas.width;
    picture.height = this.canvas.height;
    const pen = picture.getContext("2d");
    pen.scale(this.size.dense, this.size.dense);
    const crowd = Math.min(1, 260 / this.edges.size);
    this.strokes(pen, this.edges.values(), this.colours.line, 0.8, 0.07 + 0.93 * crowd);
    const arrived = this.flow.hops.slice(0, hop).flatMap((each) => each.fresh);
    this.strokes(pen, arrived, this.colours.fresh, arrived.length > 600 ? 0.8 : 1.5, 0.3 + 0.4 * crowd);
    this.spread.nodes.forEach((_, index) => this.dot(pen, index, hop));
    return picture;
  }

  strokes(pen, pairs, colour, width, alpha) {
    pen.globalAlpha = alpha;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    for (const [a, b] of pairs) {
      pen.moveTo(...this.at[a]);
      pen.lineTo(...this.at[b]);
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  dot(pen, index, hop) {
    const covered = coveredAt(this.spread, this.flow.arrival, index);
    const [x, y] = this.at[index];
    const radius = this.radius(index);
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fillStyle = this.colours.card;
    pen.fill();
    pen.globalAlpha = covered >= 0 && covered <= hop ? 1 : 0.28;
    pen.fillStyle = this.colourOf(index);
    pen.fill();
    pen.globalAlpha = 1;
  }

  travel(pen, hop, part) {
    const step = this.flow.hops[hop];
    if (!step) return;
    const eased = part * part * (3 - 2 * part);
    const crowd = Math.min(1, 500 / (step.fresh.length + step.duplicates.length)); // of many, each says less
    this.flock(pen, step.duplicates, eased, this.colours.duplicate, 1 + 1.6 * crowd, 0.25 + 0.65 * crowd, true);
    this.flock(pen, step.fresh, eased, this.colours.fresh, 1.6 + 2 * crowd, 1, false);
  }

  // Duplicates are hollow: colour alone would not tell everybody.
  flock(pen, messages, part, colour, radius, alpha, hollow) {
    const tail = Math.max(0, part - 0.22);
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = hollow ? 1 : 1.6;
    pen.globalAlpha = alpha * alpha * (hollow ? 0.4 : 0.6);
    pen.beginPath();
    for (const [from, to] of messages) {
      pen.moveTo(...this.between(from, to, tail));
      pen.lineTo(...this.between(from, to, part));
    }
    pen.stroke();
    pen.globalAlpha = alpha;
    pen.lineWidth = Math.min(1.4, radius);
    pen.beginPath();
    for (const [from, to] of messages) {
      const [x, y] = this.between(from, to, part);
      pen.moveTo(x + radius, y);
      pen.arc(x, y, radius, 0, 7);
    }
    if (hollow) pen.stroke();
    else pen.fill();
    pen.globalAlpha = 1;
  }

  between(from, to, part) {
    const [x, y] = this.at[from];
    const [u, v] = this.at[to];
    return [x + (u - x) * part, y + (v - y) * part];
  }

  answers(pen, time) {
    for (const { found, path } of this.flow.answers) {
      const gone = Math.min(time - found, path.length - 1);
      if (gone <= 0) continue;
      const last = Math.floor(gone + 1e-9);
      const walked = path.slice(0, last + 1).map((node) => this.at[node]);
      if (last < path.length - 1) walked.push(this.between(path[last], path[last + 1], gone - last));
      pen.beginPath();
      walked.forEach(([x, y], number) => (number ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.fillStyle = this.colours.hit;
      for (const [colour, width] of [[this.colours.card, 5], [this.colours.hit, 2.4]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.stroke();
      }
      pen.beginPath();
      pen.arc(...walked.at(-1), 4.4, 0, 7);
      pen.fill();
    }
  }

  // Who asks has a ring; who has it becomes a star when the query comes to it.
  marks(pen, time) {
    const [x, y] = this.at[this.spread.origin];
    pen.strokeStyle = this.colours.text;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, this.radius(this.spread.origin) + 4, 0, 7);
    pen.stroke();
    for (const { hit, found } of this.flow.answers) {
      if (time + 1e-9 < found) continue;
      const glow = Math.max(0, 1 - (time - found));
      this.star(pen, this.at[hit], 8 + 6 * glow, glow);
    }
  }

  star(pen, [x, y], radius, glow) {
    pen.fillStyle = this.colours.hit;
    pen.globalAlpha = 0.22 + 0.2 * glow;
    pen.beginPath();
    pen.arc(x, y, radius * 1.7, 0, 7);
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath();
    for (let point = 0; point < 10; point += 1) {
      const far = point % 2 ? radius * 0.5 : radius;
      const angle = (point * Math.PI) / 5 - Math.PI / 2;
      pen.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
    }
    pen.closePath();
    pen.fill();
    pen.strokeStyle = this.colours.card;
    pen.lineWidth = 1;
    pen.stroke();
  }

  // The node at this point of the canvas, or -1.
  near(x, y) {
    let [best, node] = [14 ** 2, -1];
    this.at.forEach(([u, v], index) => {
      const far = (u - x) ** 2 + (v - y) ** 2;
      if (far < best) [best, node] = [far, index];
    });
    return node;
  }
}

// Math.min(...xs) ends at some ten thousand arguments.
function least(values) {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

function most(values) {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}
