"use strict";
// Play, pause, step and reset; the counters and the table of hops; what the pointer is over.
// Who prefers less motion sees whole hops, one after the other.

const HOP_SECONDS = 1.5;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const DARK = matchMedia("(prefers-color-scheme: dark)");

const ICONS = {
  reset: "M6 5v14M19 5L9 12l10 7z",
  back: "M15 5l-8 7 8 7",
  play: "M7 4l13 8-13 8z",
  pause: "M8 5v14M16 5v14",
  step: "M9 5l8 7-8 7",
};

const COUNTERS = [
  ["messages", "messages"],
  ["duplicates", "duplicates"],
  ["covered", "peers covered"],
  ["found", "hits found"],
  ["back", "hits back"],
];

class Player {
  constructor(host, spread) {
    this.host = host;
    this.spread = spread;
    this.flow = follow(spread);
    this.roles = [...new Set(spread.nodes.map((node) => node.role))];
    this.time = 0;
    this.playing = false;
    this.build();
    this.stage = new Stage(this.canvas, spread, this.flow, layOut(spread), this.roles);
    new ResizeObserver(() => this.refit()).observe(this.canvas);
    DARK.addEventListener("change", () => this.refit());
    this.listen();
    this.refit();
  }

  build() {
    this.canvas = make("canvas", { tabIndex: 0, className: "stage" });
    this.canvas.setAttribute("role", "img");
    this.tip = make("div", { className: "tip", hidden: true });
    const frame = make("div", { className: "frame" }, this.canvas, this.tip);
    this.buttons = Object.fromEntries(
      [["reset", "Back to the start"], ["back", "One hop back"], ["play", "Play"], ["step", "One hop"]].map(
        ([act, label]) => [act, this.button(act, label)],
      ),
    );
    this.slider = make("input", { type: "range", min: 0, max: this.flow.length, step: 0.01, value: 0 });
    this.slider.setAttribute("aria-label", "Hop");
    this.clock = make("output", { className: "clock" });
    const controls = make("div", { className: "controls" }, ...Object.values(this.buttons), this.slider, this.clock);
    this.counts = Object.fromEntries(COUNTERS.map(([key]) => [key, make("b", {})]));
    const tiles = COUNTERS.map(([key, label]) => {
      this.counts[key].dataset.count = key;
      return make("div", { className: `tile ${key}` }, this.counts[key], make("span", {}, label));
    });
    this.voice = make("p", { className: "voice" });
    this.voice.setAttribute("aria-live", "polite");
    const counters = make("div", { className: "tiles" }, ...tiles);
    const below = make("div", { className: "below" }, this.hopTable(), this.roleTable());
    this.host.append(frame, controls, counters, this.legend(), this.voice, below);
  }

  button(act, label) {
    const button = make("button", { type: "button", title: label }, icon(act));
    button.dataset.act = act;
    button.setAttribute("aria-label", label);
    return button;
  }

  legend() {
    const role = (name, index) => make("li", {}, make("i", { className: `dot role${index % 4}` }), name);
    const signs = [
      ["dot fresh", "message"],
      ["dot duplicate", "duplicate"],
      ["dot hit", "hit, on its way back"],
      ["dot origin", "who asks"],
    ];
    const items = signs.map(([name, label]) => make("li", {}, make("i", { className: name }), label));
    return make("ul", { className: "legend" }, ...this.roles.map(role), ...items);
  }

  hopTable() {
    const heads = ["hop", "messages", "duplicates", "newly reached", "covered", "hits"];
    this.rows = this.flow.totals.slice(1).map((total, index) => {
      const { gain, covered } = total;
      const cells = [index + 1, gain.messages, gain.duplicates, gain.reached];
      return row("td", [...cells.map(number), this.share(covered), number(gain.found)]);
    });
    return tableOf("Hop by hop", heads, this.rows);
  }

  // Mean and most messages of a node in each role, up to now.
  roleTable() {
    const heads = ["role", "nodes", "mean load", "most"];
    this.perRole = this.roles.map((role) => row("td", [role, "", "", ""], 1));
    return tableOf("Load by role, in messages", heads, this.perRole, 1);
  }

  share(count) {
    return `${((100 * count) / this.spread.nodes.length).toFixed(1)} %`;
  }

  listen() {
    const acts = {
      reset: () => this.go(0),
      back: () => this.go(Math.ceil(this.time - 1e-9) - 1),
      play: () => (this.playing ? this.pause() : this.play()),
      step: () => this.go(Math.floor(this.time + 1e-9) + 1),
    };
    for (const [act, button] of Object.entries(this.buttons)) button.addEventListener("click", acts[act]);
    const keys = { " ": acts.play, ArrowRight: acts.step, ArrowLeft: acts.back, Home: acts.reset };
    this.canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  refit() {
    if (!this.canvas.clientWidth) return;
    this.stage.fit();
    this.show();
  }

  go(time) {
    this.pause();
    this.time = Math.max(0, Math.min(this.flow.length, time));
    this.show();
    this.say();
  }

  pause() {
    this.playing = false;
    this.face("play", "Play");
  }

  play() {
    if (this.time >= this.flow.length) this.time = 0;
    this.playing = true;
    this.face("pause", "Pause");
    this.last = null; // a frame's clock may be behind performance.now()
    requestAnimationFrame((now) => this.frame(now));
  }

  face(sign, label) {
    const button = this.buttons.play;
    button.replaceChildren(icon(sign));
    button.title = label;
    button.setAttribute("aria-label", label);
  }

  frame(now) {
    if (!this.playing) return;
    this.last ??= now;
    const hops = (now - this.last) / 1000 / HOP_SECONDS;
    if (!STILL.matches || hops >= 1) {
      this.last = now;
      this.time = Math.min(this.flow.length, STILL.matches ? Math.floor(this.time + 1e-9) + 1 : this.time + hops);
      this.show();
    }
    if (this.time >= this.flow.length) {
      this.pause();
      this.say();
    } else {
      requestAnimationFrame((next) => this.frame(next));
    }
  }

  // Counters stand for whole hops: what is on its way counts as sent, not as come.
  show() {
    this.stage.paint(this.time);
    const sent = Math.ceil(this.time - 1e-9);
    const come = Math.floor(this.time + 1e-9);
    const [now, next] = [this.flow.totals[come], this.flow.totals[sent]];
    const wasted = next.messages ? ` (${Math.round((100 * next.duplicates) / next.messages)} %)` : "";
    this.counts.messages.textContent = number(next.messages);
    this.counts.duplicates.textContent = number(next.duplicates) + wasted;
    this.counts.covered.textContent = this.share(now.covered);
    this.counts.found.textContent = `${now.found} of ${this.spread.hits.length}`;
    this.counts.back.textContent = number(now.back);
    this.clock.textContent = `hop ${sent} of ${this.flow.length}`;
    this.slider.value = this.time;
    this.slider.setAttribute("aria-valuetext", this.clock.textContent);
    this.rows.forEach((line, index) => line.classList.toggle("now", index + 1 === sent));
    if (this.loaded !== sent) this.load(sent);
    const label = `${this.spread.title}: ${this.spread.nodes.length} nodes, ${this.clock.textContent}`;
    this.canvas.setAttribute("aria-label", `${label}. Space plays, arrows step, Home resets.`);
  }

  load(hop) {
    this.loaded = hop;
    this.loads = loads(this.spread, hop);
    this.roles.forEach((role, index) => {
      const own = this.loads.filter((_, node) => this.spread.nodes[node].role === role);
      const mean = own.reduce((sum, each) => sum + each, 0) / own.length;
      const cells = [role, number(own.length), mean.toFixed(2), number(most(own))];
      cells.forEach((cell, column) => (this.perRole[index].children[column].textContent = cell));
    });
  }

  say() {
    const { messages, covered, found } = this.flow.totals[Math.floor(this.time + 1e-9)];
    this.voice.textContent =
      `${this.clock.textContent}: ${number(messages)} messages, ${this.share(covered)} covered, ${found} hits`;
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const node = this.stage.near(event.clientX - box.left, event.clientY - box.top);
    this.tip.hidden = node < 0;
    if (node < 0) return;
    const { role, parent } = this.spread.nodes[node];
    const heard = this.flow.arrival[node];
    const lines = [
      `load: ${number(this.loads[node])} messages by now`,
      ...(parent === null ? [] : [`parent: node ${parent}`]),
      ...(node === this.spread.origin ? ["asks"] : heard > 0 ? [`hears of it at hop ${heard}`] : []),
      ...(this.spread.hits.includes(node) ? ["has what is sought"] : []),
    ];
    this.tip.replaceChildren(make("b", {}, `node ${node}`), ` ${role}`, ...lines.map((line) => make("div", {}, line)));
    place(this.tip, this.stage.at[node], box);
  }
}

function icon(sign) {
  const svg = shape("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" });
  svg.append(shape("path", { d: ICONS[sign] }));
  return svg;
}
