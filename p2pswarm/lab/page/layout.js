"use strict";
// Where nodes stand, the same every time. The upper tier finds its places by forces (d3-force), children are
// petals around their parent. Thousands of equals would be a hairball: these stand in rings, by their
// distance from who asks, and the query goes outwards.

const MANY = 1200;
const PETAL = 9;
const RING = 14;
const WIDE = 1.4; // as screens are

function layOut(spread) {
  const petals = spread.nodes.map(() => []);
  spread.nodes.forEach((node, index) => {
    if (node.parent !== null) petals[node.parent].push(index);
  });
  const upper = spread.nodes.flatMap((node, index) => (node.parent === null ? [index] : []));
  const places = new Array(spread.nodes.length);
  if (upper.length > MANY) rings(spread, upper, places);
  else forces(spread, upper, petals, places);
  for (const index of upper) unfold(index, petals, places);
  return places;
}

function forces(spread, upper, petals, places) {
  const slots = new Map(upper.map((index, slot) => [index, slot]));
  const nodes = upper.map((index) => ({ index, room: flower(petals[index].length) }));
  const links = spread.edges
    .filter(([a, b]) => slots.has(a) && slots.has(b) && a !== b)
    .map(([a, b]) => ({ source: slots.get(a), target: slots.get(b) }));
  const widest = Math.max(...nodes.map((node) => node.room));
  d3.forceSimulation(nodes)
    .force("link", d3.forceLink(links).distance(widest * 2.2).strength(0.6 / Math.sqrt(1 + links.length / nodes.length)))
    .force("charge", d3.forceManyBody().strength(-widest * 9).theta(1))
    .force("room", d3.forceCollide((node) => node.room + 3).iterations(2))
    .force("x", d3.forceX().strength(0.06))
    .force("y", d3.forceY().strength(0.09))
    .stop()
    .tick(nodes.length < 400 ? 300 : 150);
  nodes.forEach((node, slot) => {
    places[upper[slot]] = { x: node.x * WIDE, y: node.y };
  });
}

function flower(petals) {
  return petals ? PETAL * (1.2 + Math.sqrt(petals)) : PETAL;
}

// A few stand around in one ring; more as in a sunflower, whose angle leaves no gaps however many there are.
function unfold(parent, petals, places) {
  const { x, y } = places[parent];
  const count = petals[parent].length;
  petals[parent].forEach((child, number) => {
    const far = PETAL * (count > RING ? 1.15 + Math.sqrt(number + 0.6) : 1.5 + count / 9);
    const angle = parent + number * (count > RING ? Math.PI * (3 - Math.sqrt(5)) : (2 * Math.PI) / count);
    places[child] = { x: x + far * Math.cos(angle), y: y + far * Math.sin(angle) };
    unfold(child, petals, places);
  });
}

function rings(spread, upper, places) {
  const distance = distances(spread);
  const farthest = Math.max(...upper.map((index) => distance[index]));
  const turn = new Float64Array(spread.nodes.length);
  let inside = 0;
  for (let ring = 0; ring <= farthest + 1; ring += 1) {
    const here = upper.filter((index) => (ring > farthest ? distance[index] < 0 : distance[index] === ring));
    here.sort((a, b) => turn[a] - turn[b] || a - b);
    const outside = Math.sqrt(inside * inside + here.length * 90) + (here.length ? 14 : 0);
    here.forEach((index, number) => {
      const angle = (2 * Math.PI * number) / here.length;
      const part = (number * 0.6180339887) % 1;
      const far = ring ? Math.sqrt(inside ** 2 + (outside ** 2 - inside ** 2) * (0.12 + 0.76 * part)) : 0;
      places[index] = { x: WIDE * far * Math.cos(angle), y: far * Math.sin(angle), ring };
      for (const other of spread.neighbours[index]) if (!turn[other]) turn[other] = angle || 1e-9;
    });
    inside = outside;
  }
}

// In hops from the origin; -1 for who cannot be reached.
function distances(spread) {
  const neighbours = (spread.neighbours = spread.nodes.map(() => []));
  for (const [a, b] of spread.edges) {
    neighbours[a].push(b);
    neighbours[b].push(a);
  }
  const distance = new Int32Array(spread.nodes.length).fill(-1);
  distance[spread.origin] = 0;
  for (const queue = [spread.origin]; queue.length; ) {
    const next = [];
    for (const node of queue.splice(0)) {
      for (const other of neighbours[node]) {
        if (distance[other] < 0) {
          distance[other] = distance[node] + 1;
          next.push(other);
        }
      }
    }
    queue.push(...next);
  }
  return distance;
}
