// Comfort only: the contents column marks the section being read. Without it every link still works.
(function () {
  "use strict";
  var links = Array.prototype.slice.call(document.querySelectorAll(".contents li a"));
  var parts = links.map(function (link) { return document.getElementById(link.hash.slice(1)); });
  var waiting = false;
  function mark() {
    waiting = false;
    var at = -1;
    parts.forEach(function (part, k) { if (part && part.getBoundingClientRect().top < 140) { at = k; } });
    var end = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 2;
    if (end && window.scrollY > 0) { at = links.length - 1; }
    links.forEach(function (link, k) {
      if (k === at) { link.setAttribute("aria-current", "true"); } else { link.removeAttribute("aria-current"); }
    });
  }
  function soon() { if (!waiting) { waiting = true; window.requestAnimationFrame(mark); } }
  window.addEventListener("scroll", soon, { passive: true });
  window.addEventListener("resize", soon);
  mark();
})();
