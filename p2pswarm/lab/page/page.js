"use strict";
// Brings the page to life when its parts come into sight: layouts of thousands of nodes take their time.

const arrivals = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) begin(target);
    }
  },
  { rootMargin: "300px" },
);

function begin(host) {
  arrivals.unobserve(host);
  if (!host.player && !host.picture) host.begin();
}

// On paper there is what nobody has scrolled to, too; and no observer is heard until it is printed.
addEventListener("beforeprint", () => {
  for (const host of document.querySelectorAll(".play, .picture")) {
    begin(host);
    host.picture?.draw();
  }
});

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
