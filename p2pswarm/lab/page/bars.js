"use strict";
// Bars over named places. They stand while the names fit below them; more or longer names lie at the left.

const THICK = 11; // px, of a lying bar

function lie({ ticks }, width) {
  return ticks.reduce((sum, tick) => sum + (tick.length + 2) * LETTER, 60) > width;
}

function standingBars(picture) {
  const { x, y, lines, area } = picture;
  const wide = Math.min(56, (x.wide * 0.78) / Math.max(1, lines.length));
  lines.forEach((line, index) => {
    const shift = (index - lines.length / 2) * wide;
    for (const [at, value] of picture.visible(line)) {
      const top = y.at(value);
      const place = { x: x.at(at) + shift + 1, y: top, width: Math.max(1, wide - 2), rx: 2 };
      const height = Math.max(1, area.bottom - top);
      picture.svg.append(shape("rect", { ...place, height, class: `bar ${picture.colour(line)}` }));
    }
  });
  picture.read(x.marks, (stop) => x.at(stop));
}

// The whole picture: its height follows from what it holds.
function lyingBars(picture, width) {
  const { chart, lines } = picture;
  const points = lines.flatMap((line) => line.points);
  const stops = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const tall = lines.length * THICK + 12;
  const longest = Math.max(...chart.ticks.map((tick) => tick.length));
  const left = Math.min(width * 0.45, longest * LETTER + 14);
  picture.area = { left, right: width - 20, top: 40, bottom: 40 + stops.length * tall };
  picture.high = picture.area.bottom + 8;
  picture.svg = shape("svg", { width, height: picture.high, "aria-hidden": "true" });
  const ys = points.map(([, y]) => y);
  const along = scale(ys, { log: chart.log_y, from: left, to: width - 20, zero: true });
  valueAxis(picture, along);
  stops.forEach((stop, row) => {
    const top = picture.area.top + row * tall;
    const fits = Math.floor((left - 12) / LETTER);
    picture.text(shortened(chart.ticks[stop] ?? number(stop), fits), left - 8, top + tall / 2 + 3, "end", "mark");
    lines.forEach((line, index) => lyingBar(picture, along, line, stop, top + 4 + index * THICK));
  });
  picture.stops = stops;
  picture.far = (index, _, y) => Math.abs(picture.area.top + (index + 0.5) * tall - y);
  picture.mark = (stop) => {
    const y = picture.area.top + stops.indexOf(stop) * tall;
    picture.cursor.append(shape("rect", { x: 0, y, width, height: tall, class: "band" }));
    return [left + 20, y + tall - 6];
  };
}

function lyingBar(picture, along, line, stop, y) {
  const value = line.points.find(([x]) => x === stop)?.[1];
  if (value === undefined || !along.shows(value)) return;
  const { left } = picture.area;
  const width = Math.max(1, along.at(value) - left);
  const place = { x: left, y, width, height: THICK - 1.5, rx: 2 };
  picture.svg.append(shape("rect", { ...place, class: `bar ${picture.colour(line)}` }));
}

function valueAxis(picture, along) {
  const { area, chart } = picture;
  picture.text(chart.y, 0, 12, "start", "axis");
  for (const mark of along.marks) {
    const x = along.at(mark);
    picture.svg.append(shape("line", { x1: x, x2: x, y1: area.top, y2: area.bottom, class: "grid" }));
    picture.text(short(mark), x, area.top - 8, "middle", "mark");
  }
}

function shortened(words, fits) {
  return words.length > fits ? `${words.slice(0, Math.max(2, fits - 1))}…` : words;
}
