"use strict";
// What becomes of a query, hop by hop: who hears of it first and from whom, which messages are duplicates,
// what is covered, and the way back of each hit. Nothing here draws.

function follow(spread) {
  const arrival = new Int32Array(spread.nodes.length).fill(-1);
  const teller = new Int32Array(spread.nodes.length).fill(-1);
  arrival[spread.origin] = 0;
  const hops = spread.steps.map((step, index) => {
    const hop = { fresh: [], duplicates: [] };
    for (const message of step) {
      const [from, to] = message;
      if (arrival[to] >= 0) {
        hop.duplicates.push(message);
      } else {
        arrival[to] = index + 1;
        teller[to] = from;
        hop.fresh.push(message);
      }
    }
    return hop;
  });
  const answers = spread.hits.map((hit) => answer(spread, arrival, teller, hit)).filter(Boolean);
  const length = Math.max(hops.length, ...answers.map((each) => each.found + each.path.length - 1));
  return { arrival, hops, answers, length, totals: totals(spread, arrival, hops, answers, length) };
}

// A child that is not asked itself is answered for by its parent.
function answer(spread, arrival, teller, hit) {
  const parent = spread.nodes[hit].parent;
  const from = arrival[hit] >= 0 ? hit : parent;
  if (from === null || arrival[from] < 0) return null;
  const path = [from];
  while (path.at(-1) !== spread.origin) path.push(teller[path.at(-1)]);
  return { hit, found: arrival[from], path };
}

// A peer's files were searched when the query reached it, or its parent, which knows them.
function coveredAt(spread, arrival, node) {
  const own = arrival[node];
  const parent = spread.nodes[node].parent;
  const parents = parent === null ? -1 : arrival[parent];
  if (own < 0 || parents < 0) return Math.max(own, parents);
  return Math.min(own, parents);
}

// What stands in the counters after each hop; the first entry is before the first message.
function totals(spread, arrival, hops, answers, length) {
  const blank = () => ({ messages: 0, duplicates: 0, reached: 0, covered: 0, found: 0, back: 0 });
  const gained = Array.from({ length: length + 1 }, blank);
  hops.forEach((hop, index) => {
    gained[index + 1].messages = hop.fresh.length + hop.duplicates.length;
    gained[index + 1].duplicates = hop.duplicates.length;
  });
  spread.nodes.forEach((_, node) => {
    if (arrival[node] >= 0) gained[arrival[node]].reached += 1;
    const covered = coveredAt(spread, arrival, node);
    if (covered >= 0) gained[covered].covered += 1;
  });
  for (const { found, path } of answers) {
    gained[found].found += 1;
    gained[found + path.length - 1].back += 1;
  }
  const sum = blank();
  return gained.map((gain) => {
    for (const key of Object.keys(sum)) sum[key] += gain[key];
    return { gain, ...sum };
  });
}

// Messages that each node has handled, sent or got, after so many hops.
function loads(spread, hop) {
  const load = new Uint32Array(spread.nodes.length);
  for (const step of spread.steps.slice(0, hop)) {
    for (const [from, to] of step) {
      load[from] += 1;
      load[to] += 1;
    }
  }
  return load;
}
