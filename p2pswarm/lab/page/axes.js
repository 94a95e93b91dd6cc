"use strict";
// From numbers to places: linear and logarithmic scales, and where they are marked.

function scale(values, { log, from, to, zero }) {
  const usable = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  let [low, high] = usable.length ? [least(usable), most(usable)] : [1, 10];
  return log ? logarithmic(low, high, from, to) : linear(low, high, from, to, zero);
}

function logarithmic(low, high, from, to) {
  const start = Math.floor(Math.log10(low) + 1e-9);
  const end = Math.max(start + 1, Math.ceil(Math.log10(high) - 1e-9));
  const at = (value) =>
    from + ((to - from) * (Math.log10(Math.max(value, 10 ** start)) - start)) / (end - start);
  const every = Math.ceil((end - start) / 6);
  const marks = [];
  for (let power = start; power <= end; power += every) marks.push(10 ** power);
  if (end - start === 1) marks.splice(1, 0, 2 * 10 ** start, 5 * 10 ** start);
  return { at, marks, shows: (value) => value > 0, floor: 10 ** start };
}

function linear(low, high, from, to, zero) {
  if (zero && low > 0) low = 0;
  if (low === high) high = low + 1;
  const count = Math.max(2, Math.min(6, Math.abs(to - from) / 44));
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * power >= raw * 0.999) * power;
  const start = Math.floor(low / step + 1e-9) * step;
  const end = Math.ceil(high / step - 1e-9) * step;
  const at = (value) => from + ((to - from) * (value - start)) / (end - start);
  const marks = [];
  for (let index = 0; start + index * step <= end + step / 1e6; index += 1) {
    marks.push(Number((start + index * step).toPrecision(12)));
  }
  return { at, marks, shows: () => true, floor: Math.max(0, start) };
}

// 1,000 is short, 1,000,000 is not.
function short(value) {
  const big = [[1e9, "G"], [1e6, "M"], [1e4, "k"]].find(([least]) => Math.abs(value) >= least);
  if (!big) return number(value);
  const unit = big[1] === "k" ? 1e3 : big[0];
  return `${number(value / unit)} ${big[1]}`;
}
