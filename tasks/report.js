"use strict";
// Maps: the nearest point to the pointer, by the coordinates that the paths hold; a list of items tells its title.
const data = JSON.parse(document.getElementById("points").textContent);

function pointsOf(svg, places) {
  return [...svg.querySelectorAll(".dots")].flatMap((path) => {
    const ids = places[path.dataset.group] || [];
    return path.getAttribute("d").split("M").slice(1).map((cell, i) => {
      const [x, y] = cell.slice(0, -2).split(" ").map(Number);
      return { x, y, item: data.items[ids[i]], path };
    });
  });
}

function nearest(points, x, y) {
  let best = null, least = 18 * 18;
  for (const point of points) {
    const far = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (far < least && !point.path.classList.contains("dim")) [best, least] = [point, far];
  }
  return best;
}

for (const svg of document.querySelectorAll(".map")) {
  const box = svg.parentElement, tip = box.querySelector(".tip"), mark = svg.querySelector(".mark");
  let points = null;
  const hide = () => { tip.style.display = "none"; mark.setAttribute("cx", -20); };
  const show = (event) => {
    points = points || pointsOf(svg, data.maps[svg.dataset.map]);
    const at = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / at.width;
    const found = nearest(points, (event.clientX - at.left) * scale, (event.clientY - at.top) * scale);
    if (!found) return hide();
    mark.setAttribute("cx", found.x);
    mark.setAttribute("cy", found.y);
    tip.textContent = found.item.slice(1).filter(Boolean).join(", ");
    tip.style.display = "block";
    const x = found.x / scale, y = svg.offsetTop || (at.top - box.getBoundingClientRect().top);
    tip.style.left = Math.max(0, Math.min(x - tip.offsetWidth / 2, at.width - tip.offsetWidth)) + "px";
    tip.style.top = y + found.y / scale + (found.y / scale > tip.offsetHeight + 14 ? -tip.offsetHeight - 10 : 12) + "px";
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", hide);
}

for (const button of document.querySelectorAll(".keys button")) {
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of document.querySelectorAll(".keys button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(on));
    for (const path of document.querySelectorAll(".dots")) {
      path.classList.toggle("dim", on && path.dataset.group !== button.dataset.group);
    }
  });
}

// Sounds: a needle on the spectrogram, and one at a time.
const sounds = [...document.querySelectorAll("audio")];
for (const sound of sounds) {
  const item = sound.closest(".item"), needle = item.querySelector(".needle"), cut = item.querySelector(".cut");
  const move = () => {
    if (needle && cut && sound.duration) {
      const from = parseFloat(cut.style.left), width = parseFloat(cut.style.width);
      needle.style.left = from + (width * sound.currentTime) / sound.duration + "%";
      needle.style.display = "block";
    }
    if (!sound.paused) requestAnimationFrame(move);
  };
  sound.addEventListener("seeked", move);
  sound.addEventListener("play", () => {
    for (const other of sounds) if (other !== sound) other.pause();
    move();
  });
}

// On paper everything is open.
addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
