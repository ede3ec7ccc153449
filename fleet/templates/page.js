// Keeps the page current: puts in place what the server sends, without losing focus, scroll or
// what is unfolded. The page is complete without it.
"use strict";
(() => {
  const live = document.getElementById("live");
  const state = document.getElementById("live-state");
  const text = document.getElementById("live-text");
  const SILENCE_S = 12; // The server says something every 5 s.
  let aheadS = 0; // How far this clock is ahead of the server's.
  let changed = Date.now();
  let heard = null; // Nothing yet: the page says as of when it was made.
  let problem = null;

  // Makes `old` like `fresh`, in place.
  function become(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
    } else if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
    } else if (old.nodeType === Node.ELEMENT_NODE) {
      for (const { name, value } of [...fresh.attributes]) {
        if (old.getAttribute(name) !== value) old.setAttribute(name, value);
      }
      for (const { name } of [...old.attributes]) {
        if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
      }
      childrenBecome(old, [...fresh.childNodes]);
    }
  }

  function childrenBecome(old, fresh) {
    const before = [...old.childNodes];
    fresh.forEach((child, at) => (at < before.length ? become(before[at], child) : old.append(child)));
    before.slice(fresh.length).forEach((child) => child.remove());
  }

  function ago(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
    return `${Math.floor(s / 86400)} d ago`;
  }

  function say(element, words) {
    if (element.textContent !== words) element.textContent = words;
  }

  function tick() {
    const now = Date.now();
    for (const time of live.querySelectorAll("time")) {
      say(time, ago((now - Date.parse(time.dateTime)) / 1000 - aheadS));
    }
    if (heard === null && problem === null) return;
    const silent = (now - heard) / 1000 > SILENCE_S;
    state.dataset.state = problem ? "ended" : silent ? "lost" : "live";
    const updated = `updated ${ago((now - changed) / 1000)}`;
    say(text, problem ?? (silent ? `connection lost, trying again · ${updated}` : `live · ${updated}`));
  }

  function hear(serverNow) {
    heard = Date.now();
    problem = null;
    aheadS = heard / 1000 - Number(serverNow);
  }

  const events = new EventSource("/events" + location.search);
  events.addEventListener("fragment", (event) => {
    const fresh = new DOMParser().parseFromString(event.data, "text/html").body;
    hear(fresh.querySelector("[data-now]").dataset.now);
    childrenBecome(live, [...fresh.childNodes]);
    changed = Date.now();
    tick();
  });
  events.addEventListener("same", (event) => hear(event.data));
  events.addEventListener("full", (event) => {
    problem = event.data;
    tick();
  });
  events.addEventListener("error", () => {
    heard = 0;
    // Refused, not lost: the session has ended.
    if (events.readyState === EventSource.CLOSED) problem = "not live any more: load the page again";
    tick();
  });
  tick();
  setInterval(tick, 1000);
})();
