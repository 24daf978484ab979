// What makes the dashboard nicer and nothing that it needs: fresh numbers, ticking times, colours without a reload.

(() => {
  "use strict";

  const INTERVAL = 5000;
  const ONE_YEAR = 365 * 86400;
  const root = document.documentElement;
  const main = document.getElementById("main");
  if (!main) return;
  const home = new URL(document.querySelector(".brand")?.href ?? location.href).pathname;
  const base = home.replace(/\/$/, "") || "/"; // without the slash: a cookie of "/jobs/" is not sent to "/jobs"

  function remember(name, value) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `${name}=${value}; path=${base}; max-age=${ONE_YEAR}; samesite=lax${secure}`;
  }

  // --- colours ------------------------------------------------------------------------------------

  document.querySelector("[data-themes]")?.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    event.preventDefault();
    root.dataset.theme = button.value;
    for (const each of event.currentTarget.querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each === button));
    }
    remember("flask_queue_theme", button.value);
  });

  // --- times --------------------------------------------------------------------------------------

  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  let lead = 0; // of the database's clock over this one

  function readClock() {
    lead = Date.parse(main.dataset.now) - Date.now();
  }

  function words(moment) {
    const seconds = (moment - Date.now() - lead) / 1000;
    const distance = Math.floor(Math.abs(seconds));
    if (distance < 1) return "just now";
    const [unit, size] = UNITS.find(([, size]) => distance >= size);
    const number = Math.floor(distance / size);
    const text = `${number} ${unit}${number === 1 ? "" : "s"}`;
    return seconds > 0 ? `in ${text}` : `${text} ago`;
  }

  function tick() {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const text = words(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // --- fresh numbers ------------------------------------------------------------------------------

  const toggle = document.querySelector("[data-live-toggle]");
  const label = document.querySelector("[data-live-label]");
  let live = toggle?.getAttribute("aria-pressed") === "true";
  let timer;

  // Whoever types, marks text, or is asked a question is left alone.
  function isBusy() {
    const focused = document.activeElement;
    const typing = focused?.matches?.("input, textarea, select") ?? false;
    const asked = main.querySelector("details[open]") !== null;
    const marked = !(document.getSelection()?.isCollapsed ?? true);
    return typing || asked || marked;
  }

  function show(state) {
    if (!toggle) return;
    toggle.toggleAttribute("data-held", state === "held");
    toggle.toggleAttribute("data-lost", state === "lost");
    label.textContent = !live ? "Paused" : state === "lost" ? "No answer" : state === "held" ? "Waiting" : "Live";
  }

  // What an element does, and in which row: by this it is found again, wherever rows that came or went have moved it.
  function identity(element) {
    const form = element.form ?? element.parentElement.querySelector("form");
    const target = element.id || element.getAttribute("href") || form?.getAttribute("action") || element.textContent;
    const row = element.closest("tr, li")?.querySelector("a")?.getAttribute("href") ?? "";
    return [element.localName, target, row].join("\n");
  }

  function replace(fresh) {
    const focused = document.activeElement;
    const lost = main.contains(focused) && focused.matches("a, button, summary") ? identity(focused) : "";
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (other && part.innerHTML !== other.innerHTML) part.replaceChildren(...other.childNodes);
    }
    main.dataset.now = fresh.getElementById("main").dataset.now;
    if (lost && !main.contains(document.activeElement)) {
      const same = [...main.querySelectorAll("a, button, summary")].filter((each) => identity(each) === lost);
      if (same.length === 1) same[0].focus({ preventScroll: true }); // else nothing, rather than the button of another job
    }
    readClock();
    tick();
  }

  async function refresh() {
    if (!live || document.hidden) return;
    if (isBusy()) return show("held");
    try {
      const response = await fetch(location.href, { credentials: "same-origin", redirect: "manual", cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      if (live && !document.hidden && !isBusy() && fresh.getElementById("main")) replace(fresh);
      show("live");
    } catch {
      show("lost");
    }
  }

  function again() {
    clearTimeout(timer);
    if (live && !document.hidden) timer = setTimeout(() => refresh().finally(again), INTERVAL);
  }

  if (toggle) {
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      live = !live;
      toggle.setAttribute("aria-pressed", String(live));
      remember("flask_queue_refresh", live ? "on" : "off");
      show("live");
      if (live) refresh().finally(again);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) clearTimeout(timer);
      else refresh().finally(again);
    });
    show("live");
    again();
  }

  // --- small things -------------------------------------------------------------------------------

  // A question is closed by a click beside it, or by Escape.
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.confirm[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.confirm[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });

  // A form is sent once, however often its button is clicked.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post" || event.defaultPrevented) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  // On a phone the tabs scroll: begin where the current one is.
  document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  readClock();
  tick();
  setInterval(tick, 1000);
})();
