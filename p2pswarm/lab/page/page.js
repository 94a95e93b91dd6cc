"use strict";
// Brings the page to life when its parts come into sight: layouts of thousands of nodes take their time.

const arrivals = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      arrivals.unobserve(target);
      target.begin();
    }
  },
  { rootMargin: "300px" },
);

for (const section of document.querySelectorAll(".result")) {
  const result = JSON.parse(section.querySelector("script[type='application/json']").textContent);
  const places = JSON.parse(section.dataset.places);
  section.querySelectorAll(".spread .play").forEach((host, index) => {
    host.begin = () => (host.player = new Player(host, result.spreads[index]));
    arrivals.observe(host);
  });
  section.querySelectorAll(".chart .picture").forEach((host, index) => {
    host.begin = () => (host.picture = new Picture(host, result.charts[index], places));
    arrivals.observe(host);
  });
}
