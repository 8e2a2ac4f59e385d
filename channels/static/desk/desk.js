/* Kefu desk: one page, no dependency, no build step. Talks to /desk/api and /desk/socket.
 *
 * Every node is built here: what a shopper, a person or a bot wrote never becomes markup. Every change names the
 * fencing token it was decided under; the gateway says no when somebody was quicker, and the page looks again.
 */
(() => {
  "use strict";
  const ALL = window.DESK_WORDS;
  const app = document.getElementById("app");
  const keep = (key, value) => { try { if (value === undefined) return localStorage.getItem("kefu-desk-" + key); localStorage.setItem("kefu-desk-" + key, value); } catch { /* private mode */ } return null; };
  let lang = keep("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
  let t = ALL[lang];
  const theme = keep("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;

  const state = {
    me: null, rows: new Map(), listed: [], people: [], present: new Set(), open: true, opensAt: null, skew: 0,
    tab: "waiting", query: "", id: null, talk: null, mode: "reply", texts: {}, draft: null, offline: false, socket: null,
    sound: keep("sound") !== "off", loading: null,
  };

  // ------------------------------------------------------------------ small things
  function el(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key.startsWith("aria-") && typeof value === "boolean") { node.setAttribute(key, String(value)); continue; }
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "class") node.className = value;
      else if (key === "value") node.value = value;
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
    return node;
  }
  const ICONS = {
    sound: "M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.500 6.500a8 8 0 0 1 0 11", bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
    moon: "M20 14.500A8 8 0 1 1 9.500 4a6.500 6.500 0 0 0 10.500 10.500z", keys: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8", out: "M14 4h5v16h-5M11 8l-4 4 4 4M7 12h9",
    chat: "M4 5h16v11H9l-5 4z", picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  };
  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    for (const [key, value] of [["viewBox", "0 0 24 24"], ["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "1.8"], ["stroke-linecap", "round"], ["stroke-linejoin", "round"], ["aria-hidden", "true"]]) svg.setAttribute(key, value);
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
  const word = (group, code) => (code ? (t[group] && t[group][code]) || String(code).replace(/_/g, " ") : "");
  const now = () => Date.now() + state.skew;
  const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
  const zone = () => state.me && state.me.timezone;
  const locale = () => (lang === "zh" ? "zh-CN" : "en-GB");
  const same = (a, b) => a.toLocaleDateString(locale(), { timeZone: zone() }) === b.toLocaleDateString(locale(), { timeZone: zone() });
  function clock(at) {
    if (!at) return "";
    const when = new Date(at);
    const time = { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: zone() };
    return when.toLocaleString(locale(), same(when, new Date(now())) ? time : { month: lang === "zh" ? "numeric" : "short", day: "numeric", ...time });
  }
  const day = (at) => (at ? new Date(at).toLocaleDateString(locale(), { month: lang === "zh" ? "numeric" : "short", day: "numeric", timeZone: zone() }) : "");
  function span(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 60) return fill(t.seconds, { n: seconds });
    if (seconds < 3600) return fill(t.minutes, { n: Math.floor(seconds / 60) });
    if (seconds < 172800) return fill(t.hours, { n: Math.floor(seconds / 3600) });
    return fill(t.days, { n: Math.floor(seconds / 86400) });
  }
  function money(value) {
    if (!value || typeof value.amount !== "number") return "";
    const format = new Intl.NumberFormat(locale(), { style: "currency", currency: value.currency || "CNY" });
    return format.format(value.amount / 10 ** format.resolvedOptions().maximumFractionDigits);
  }
  const spoken = (texts) => (texts && typeof texts === "object" ? texts[lang] || texts.zh || texts.en || "" : texts || "");
  const nameOf = (row) => row.name || `${t.guest} ${row.short}`;
  function toast(text) {
    document.querySelector(".toast")?.remove();
    const note = el("div", { class: "toast", role: "status" }, text);
    document.body.append(note);
    setTimeout(() => note.remove(), 3800);
  }

  async function api(path, body, raw) {
    const options = { method: body === undefined ? "GET" : "POST", headers: {} };
    if (body !== undefined) {
      options.headers["X-CSRF"] = state.me ? state.me.csrf : "";
      if (raw) options.body = body;
      else { options.headers["Content-Type"] = "application/json"; options.body = JSON.stringify(body); }
    }
    const response = await fetch("/desk/api" + path, options);
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    if (response.status === 401 && path !== "/sign-in") { state.me = null; paint(); }
    throw Object.assign(new Error(answer.message || response.statusText), { code: answer.error, retry: answer.retry_after });
  }

  /** Do something to the open conversation; of two people who do, one is told that the other was quicker. */
  async function act(name, body = {}) {
    const { id, token } = state.talk.row;
    try {
      const whole = await api(`/conversations/${id}/${name}`, { token, ...body });
      if (whole.row) show(whole);
      return whole;
    } catch (error) {
      if (error.code === "taken" || error.code === "not_yours") { toast(t.taken); await open(id); }
      else if (error.code === "no_budget") toast(t.budgetGone);
      else if (error.code === "csrf") toast(t.csrf);
      else toast(fill(t.failed, { message: error.message }));
      return null;
    }
  }

  // ------------------------------------------------------------------ sign-in
  let ways = null; // how one signs in here
  async function door() {
    ways = ways || await api("/door").catch(() => ({ passwords: true, oidc: false }));
    if (state.me) return;
    const bad = el("p", { class: "bad", role: "alert" });
    const name = el("input", { name: "name", autocomplete: "username", required: true, autocapitalize: "none" });
    const password = el("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
    const go = el("button", { class: "go", type: "submit" }, t.signIn);
    const form = el("form", { onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      bad.textContent = "";
      try { state.me = await api("/sign-in", { name: name.value, password: password.value }); await enter(); }
      catch (error) { bad.textContent = error.code === "too_many" ? fill(t.tooMany, { n: Math.ceil((error.retry || 60) / 60) }) : error.code === "credentials" ? t.wrong : fill(t.failed, { message: error.message }); password.select(); }
      go.disabled = false;
    } },
    el("h1", {}, el("img", { class: "logo", src: "/desk/icon.svg", alt: "" }), `Kefu ${t.title}`),
    ways.oidc ? el("a", { class: "go sso", href: "/desk/oidc/start" }, t.sso) : null,
    ways.oidc && ways.passwords ? el("hr") : null,
    ways.passwords ? [el("label", {}, t.name, name), el("label", {}, t.password, password), go] : null, bad,
    el("button", { class: "quiet", type: "button", onclick: switchLanguage }, t.other));
    app.replaceChildren(el("div", { class: "door" }, form));
    const refused = new URLSearchParams(location.search).get("error");
    if (refused) { bad.textContent = t.doorErrors[refused] || t.doorErrors.oidc_token; history.replaceState(null, "", "/desk"); }
    if (ways.passwords) name.focus();
  }
  function switchLanguage() {
    lang = lang === "zh" ? "en" : "zh";
    t = ALL[lang];
    keep("language", lang);
    paint();
  }

  // ------------------------------------------------------------------ frame
  let parts = {};
  function paint() {
    document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
    document.title = `Kefu ${t.title}`;
    if (!state.me) { state.socket?.close(); door(); return; }
    parts = {
      hours: el("div", { class: "hours" }), tabs: el("div", { class: "tabs", role: "tablist" }), rows: el("ul", { class: "rows", "aria-label": t.title }),
      talk: el("main", { class: "talk" }), side: el("aside", { class: "side" }),
      search: el("input", { type: "search", placeholder: t.search, "aria-label": t.search, value: state.query, oninput: searching, onkeydown: (event) => { if (event.key === "Escape") { parts.search.value = ""; searching(); parts.search.blur(); } else if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); parts.search.blur(); step(0); } } }),
      strip: el("div", { class: "strip", role: "status", hidden: true }, t.offline),
    };
    const sound = el("button", { class: "quiet", title: t.sound, "aria-label": t.sound, "aria-pressed": state.sound, onclick: () => { state.sound = !state.sound; keep("sound", state.sound ? "on" : "off"); sound.setAttribute("aria-pressed", state.sound); if (state.sound) beep(); } }, icon("sound"));
    const bell = el("button", { class: "quiet", title: t.notify, "aria-label": t.notify, "aria-pressed": window.Notification?.permission === "granted", onclick: async () => { if (window.Notification) bell.setAttribute("aria-pressed", (await Notification.requestPermission()) === "granted"); } }, icon("bell"));
    const dark = el("button", { class: "quiet", title: "◐", "aria-label": "dark / light", onclick: () => { const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; document.documentElement.dataset.theme = next; keep("theme", next); } }, icon("moon"));
    app.replaceChildren(el("div", { class: "desk" },
      el("header", { class: "top" },
        el("div", { class: "brand" }, el("img", { class: "logo", src: "/desk/icon.svg", alt: "" }), `Kefu ${t.title}`), parts.hours,
        el("div", { class: "search" }, parts.search, el("kbd", {}, "/")),
        el("div", { class: "icons" }, sound, bell, dark,
          el("button", { class: "quiet", title: t.keys, "aria-label": t.keys, onclick: help }, icon("keys")),
          el("button", { class: "quiet", onclick: switchLanguage, lang: lang === "zh" ? "en" : "zh-CN" }, t.other)),
        el("div", { class: "who" }, state.me.name, el("small", {}, word("roles", state.me.role))),
        el("button", { class: "quiet", title: t.signOut, "aria-label": t.signOut, onclick: async () => { await api("/sign-out", {}).catch(() => {}); state.me = null; state.socket?.close(); paint(); } }, el("span", { class: "icons" }, icon("out")))),
      el("nav", { class: "list" }, parts.tabs, parts.rows), parts.talk, parts.side, parts.strip));
    paintHours();
    paintRows();
    paintTalk();
  }
  function paintHours() {
    const here = state.people.filter((person) => state.present.has(person.name)).length;
    parts.hours.replaceChildren(el("span", { class: `dot ${state.open ? "on" : "off"}` }), `${state.open ? t.openHours : fill(t.closedHours, { time: clock(state.opensAt) })} · ${here} ${t.present}`);
  }

  // ------------------------------------------------------------------ queue
  const TABS = ["waiting", "mine", "others", "bot", "ended"];
  const tabOf = (row) => (row.owner === "pending" ? "waiting" : row.owner === "person" ? (row.agent === state.me.name ? "mine" : "others") : null);
  function order(a, b) {
    const wanted = (row) => (row.wanted && row.wanted === state.me.name ? 1 : 0);
    if (a.owner === "pending") return wanted(b) - wanted(a) || b.priority - a.priority || a.waiting_since - b.waiting_since;
    return (b.unanswered_since ? 1 : 0) - (a.unanswered_since ? 1 : 0) || (a.unanswered_since || 0) - (b.unanswered_since || 0) || b.last_at - a.last_at;
  }
  function visible() {
    if (state.query || state.tab === "bot" || state.tab === "ended") return state.listed.map((row) => state.rows.get(row.id) || row);
    return [...state.rows.values()].filter((row) => tabOf(row) === state.tab).sort(order);
  }
  function paintTabs() {
    const counts = { waiting: 0, mine: 0, others: 0 };
    let unanswered = 0;
    for (const row of state.rows.values()) {
      const tab = tabOf(row);
      if (tab) counts[tab] += 1;
      if (tab === "mine" && row.unanswered_since) unanswered += 1;
    }
    parts.tabs.replaceChildren(...TABS.map((tab) => el("button", { role: "tab", "aria-selected": !state.query && tab === state.tab, class: (tab === "waiting" && counts.waiting) || (tab === "mine" && unanswered) ? "hot" : "", onclick: () => choose(tab) }, t[tab], counts[tab] ? el("b", {}, tab === "mine" && unanswered ? unanswered : counts[tab]) : null)));
    const waiting = counts.waiting + unanswered;
    document.title = `${waiting ? `(${waiting}) ` : ""}Kefu ${t.title}`;
  }
  const drawn = new Map(); // id -> [signature, node]
  function rowNode(row) {
    const waits = row.owner === "pending" ? row.waiting_since : row.unanswered_since;
    const signature = JSON.stringify([row, lang, row.id === state.id, waits ? span(now() - waits) : clock(row.last_at)]);
    const before = drawn.get(row.id);
    if (before && before[0] === signature) return before[1];
    const first = row.owner === "pending" && (row.priority >= 80 || row.wanted === state.me.name);
    const late = waits && now() - waits > 300000;
    const by = row.last_author === "shopper" ? null : row.last_author === "person" ? (row.agent === state.me.name ? t.you : t.person_) : row.last_author === "bot" ? t.bot_ : null;
    const tags = [];
    if (row.owner === "person" && row.agent !== state.me.name) tags.push(el("span", { class: "tag blue" }, row.agent));
    if (row.owner === "person" && row.unanswered_since) tags.push(el("span", { class: "tag red" }, t.noReply));
    if (row.sentiment === "angry") tags.push(el("span", { class: "tag red" }, word("moods", row.sentiment)));
    else if (row.sentiment) tags.push(el("span", { class: "tag amb" }, word("moods", row.sentiment)));
    if (row.wanted) tags.push(el("span", { class: "tag amb" }, row.wanted === state.me.name ? t.wantsYou : fill(t.wants, { agent: row.wanted })));
    if (row.promise === "open" || row.promise === "broken") tags.push(el("span", { class: `tag ${row.promise === "broken" ? "red" : "amb"}` }, row.promise === "broken" ? t.broken : `${t.promised} ${clock(row.promised_at)}`));
    if (row.reason && tabOf(row)) tags.push(el("span", { class: `tag ${["threat", "outcome_unknown", "claim_without_receipt"].includes(row.reason) ? "red" : ""}` }, word("reasons", row.reason)));
    if (row.goal) tags.push(el("span", { class: "tag blue" }, word("goals", row.goal)));
    if (!tabOf(row) && row.outcome) tags.push(el("span", { class: "tag" }, word("outcomes", row.outcome)));
    if (row.rating) tags.push(el("span", { class: `tag ${row.rating >= 4 ? "grn" : "amb"}` }, "★".repeat(row.rating)));
    const node = el("li", { class: `row ${first ? "first" : ""}`, "data-id": row.id, "aria-current": row.id === state.id, tabindex: "-1", onclick: () => open(row.id) },
      el("span", { class: "n" }, nameOf(row), el("small", {}, word("channels", row.channel))),
      el("time", { class: late ? "long" : "" }, waits ? span(now() - waits) : clock(row.last_at)),
      el("p", {}, by ? el("b", {}, by + (lang === "zh" ? "：" : ": ")) : null, row.last || (row.media ? t.pictureWord : "—")),
      tags.length ? el("div", { class: "tags" }, tags) : null);
    drawn.set(row.id, [signature, node]);
    return node;
  }
  function paintRows() {
    if (!parts.rows) return;
    paintTabs();
    const rows = visible();
    if (!rows.length) {
      parts.rows.replaceChildren(el("li", { class: "none" }, state.query ? t.empty : state.tab === "waiting" ? t.emptyWaiting : state.tab === "mine" ? t.emptyMine : t.empty));
      return;
    }
    // Nodes are kept and moved, so that 200 open conversations cost what has changed.
    let place = parts.rows.firstChild;
    for (const row of rows) {
      const node = rowNode(row);
      if (node !== place) parts.rows.insertBefore(node, place);
      else place = place.nextSibling;
    }
    while (place) { const next = place.nextSibling; place.remove(); place = next; }
  }
  async function choose(tab) {
    state.tab = tab;
    state.query = "";
    parts.search.value = "";
    state.listed = [];
    paintRows();
    await relist();
  }
  async function relist() {
    if (!state.query && state.tab !== "bot" && state.tab !== "ended") return;
    const asked = `${state.tab}|${state.query}`;
    const found = await api(`/conversations?view=${state.tab}&q=${encodeURIComponent(state.query)}`).catch(() => null);
    if (found && asked === `${state.tab}|${state.query}`) { state.listed = found.rows; paintRows(); }
  }
  let typing = 0;
  function searching() {
    clearTimeout(typing);
    typing = setTimeout(() => { state.query = parts.search.value.trim(); state.listed = []; paintRows(); relist(); }, 220);
  }
  function step(by) {
    const rows = visible();
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.id === state.id);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
    open(next.id);
    parts.rows.querySelector(`[data-id="${CSS.escape(next.id)}"]`)?.scrollIntoView({ block: "nearest" });
  }

  // ------------------------------------------------------------------ one conversation
  async function open(id) {
    if (state.id !== id) {
      // Until the other one is there nothing of the old may be pressed: keys and buttons act on what is shown.
      state.draft = null; state.mode = "reply"; state.talk = null;
      parts.talk.replaceChildren(); parts.side.replaceChildren();
    }
    state.id = id;
    paintRows();
    tellView();
    try {
      const whole = await api(`/conversations/${id}`);
      if (state.id === id) show(whole, true);
    } catch (error) { toast(fill(t.failed, { message: error.message })); }
  }
  function show(whole, fresh = true) {
    if (state.id !== whole.row.id) return;
    const last = fresh ? whole : { ...whole, lines: [...state.talk.lines, ...whole.lines.filter((line) => !state.talk.lines.some((old) => old.seq === line.seq))], from: state.talk.from };
    const before = state.talk;
    state.talk = last;
    state.skew = whole.now - Date.now();
    if (state.rows.has(whole.row.id) || tabOf(whole.row)) state.rows.set(whole.row.id, whole.row);
    paintRows();
    const changed = !before || before.row.id !== whole.row.id || before.row.token !== whole.row.token;
    if (changed || fresh) paintTalk();
    else { paintLog(); paintSide(); paintBudget(); }
  }
  let looking = null;
  function look() {
    if (looking || !state.talk) return;
    looking = setTimeout(async () => {
      looking = null;
      const id = state.id;
      if (!state.talk || state.talk.row.id !== id) return;
      const last = state.talk.lines.length ? state.talk.lines[state.talk.lines.length - 1].seq : 0;
      const whole = await api(`/conversations/${id}?after=${Math.max(1, last - 5)}`).catch(() => null);
      if (whole && state.id === id && state.talk) {
        for (const line of whole.lines) { const old = state.talk.lines.find((one) => one.seq === line.seq); if (old) Object.assign(old, line); }
        show(whole, false);
      }
    }, 60);
  }
  const mine = () => state.talk && state.talk.row.owner === "person" && state.talk.row.agent === state.me.name;

  function paintTalk() {
    if (!parts.talk) return;
    if (!state.talk || state.talk.row.id !== state.id) {
      parts.talk.replaceChildren(el("div", { class: "blank" }, icon("chat"), el("h2", {}, t.pick), el("p", {}, t.pickHint)));
      parts.side.replaceChildren();
      return;
    }
    const row = state.talk.row;
    const lead = state.me.role !== "agent";
    const buttons = [];
    const button = (label, key, run, kind = "") => buttons.push(el("button", { class: kind, onclick: run, "data-do": key }, label, el("kbd", {}, key.toUpperCase())));
    if (mine()) { button(t.transfer, "t", transfer); button(t.release, "b", release); button(t.close, "e", close); }
    else {
      if (lead && row.owner !== "bot" && row.owner !== "closed") button(t.assign, "t", transfer);
      if (row.owner === "pending") button(t.claim, "c", claim, "go");
      else if (row.owner === "bot") button(t.takeOver, "c", claim);
      else if (row.owner === "closed") button(t.reopen, "c", claim);
      else if (lead) button(fill(t.takeFrom, { agent: row.agent }), "c", claim);
    }
    const stateText = row.owner === "pending" ? t.pendingNow : row.owner === "bot" ? t.withBot : row.owner === "closed" ? t.endedNow : mine() ? "" : fill(t.notYours, { agent: row.agent });
    parts.log = el("div", { class: "log", role: "log", "aria-label": nameOf(row), tabindex: "0" });
    parts.write = el("div", {});
    parts.talk.replaceChildren(
      el("div", { class: "bar" }, el("h2", {}, nameOf(row)), el("span", { class: "tag" }, word("channels", row.channel)), el("span", { class: "state" }, stateText), buttons),
      parts.log, parts.write);
    paintWrite();
    paintSide();
    paintLog(true); // last: the box below takes room, and the last words must be in sight
  }

  // the transcript
  function paintLog(jump) {
    const log = parts.log;
    const near = jump || log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const opened = new Set([...log.querySelectorAll(".why")].map((node) => node.dataset.seq));
    const nodes = [];
    if (state.talk.from > 0) nodes.push(el("div", { class: "line" }, el("button", { class: "quiet", onclick: earlier }, t.earlier)));
    let dayBefore = null;
    for (const line of state.talk.lines) {
      const when = new Date(line.at).toLocaleDateString(locale(), { timeZone: zone(), month: "long", day: "numeric" });
      if (when !== dayBefore) { dayBefore = when; nodes.push(el("div", { class: "line" }, same(new Date(line.at), new Date(now())) ? t.today : when)); }
      const node = lineNode(line, opened.has(String(line.seq)));
      if (node) nodes.push(node);
    }
    log.replaceChildren(...nodes);
    if (!near) return;
    log.scrollTop = log.scrollHeight;
    // A picture that comes later must not push the last words out of sight.
    for (const picture of log.querySelectorAll("img")) if (!picture.complete) picture.addEventListener("load", () => { log.scrollTop = log.scrollHeight; }, { once: true });
  }
  async function earlier() {
    const whole = await api(`/conversations/${state.id}/before/${state.talk.from + 1}`).catch(() => null);
    if (!whole) return;
    const known = new Set(state.talk.lines.map((line) => line.seq));
    state.talk.lines = [...whole.lines.filter((line) => !known.has(line.seq)), ...state.talk.lines];
    state.talk.from = whole.from;
    const height = parts.log.scrollHeight;
    paintLog();
    parts.log.scrollTop = parts.log.scrollHeight - height;
  }
  function lineNode(line, opened) {
    const body = line.body;
    if (line.kind === "owner") return el("div", { class: "line" }, `${fill(t.owner[body.owner] || body.owner, { agent: body.agent || t.person_ })}${body.reason && body.reason !== "claimed" ? ` · ${word("reasons", body.reason)}` : ""} · ${clock(line.at)}`);
    if (line.kind === "rating_request") return el("div", { class: "line" }, t.asked);
    if (line.kind === "rating") return el("div", { class: "line" }, `${t.rating} ${"★".repeat(body.score)}${"☆".repeat(5 - body.score)} ${body.comment || ""}`);
    if (line.kind === "note") return el("div", { class: "notebox" }, el("small", {}, `${t.note} · ${body.agent || t.system_} · ${clock(line.at)}`), body.text);
    if (line.kind === "plan") return el("div", { class: "line" }, [t.planStates[body.state] || body.state, word("operations", body.operation), body.order, money(body.amount), body.receipt, body.why && why(body.why), body.by || t.shopper, clock(line.at)].filter(Boolean).join(" · "));
    if (line.kind === "suggestion") return suggestion(`line:${line.seq}`, body.text || "");
    if (line.kind !== "message") return null;
    const who = { shopper: nameOf(state.talk.row), bot: t.bot_, person: body.agent === state.me.name ? t.you : body.agent || t.person_, system: t.system_ }[line.author];
    const node = el("div", { class: `m ${line.author}` }, el("div", { class: "by" }, `${who} · ${clock(line.at)}`));
    if (body.text || body.card || body.citations) node.append(el("div", { class: "b" }, (body.card && body.card.lead) || body.text || "", body.card ? card(body.card) : null, body.citations && body.citations.length ? el("div", { class: "card" }, body.citations.map(([title]) => el("div", {}, title))) : null));
    for (const media of body.media || []) node.append(media.kind === "image" ? el("img", { src: media.url, alt: t.pictureWord, onclick: () => viewer(media.url) }) : el("a", { class: "b", href: media.url, target: "_blank", rel: "noopener" }, media.kind));
    if (body.buttons && body.buttons.length) node.append(el("div", { class: "choices" }, body.buttons.map((one) => el("span", {}, one.title))));
    const under = [];
    if (line.delivery && line.delivery !== "delivered" && t.delivery[line.delivery]) under.push(el("span", { class: line.delivery === "pending" ? "" : "bad" }, t.delivery[line.delivery]));
    if (line.explain) {
      const why = el("div", { class: "why", "data-seq": line.seq }, reasons(line.explain), line.author === "bot" ? judgement(line) : null);
      const toggle = el("button", { onclick: () => { if (why.isConnected) { why.remove(); toggle.textContent = t.explain; } else { node.append(why); toggle.textContent = t.hideExplain; } } }, opened ? t.hideExplain : t.explain);
      under.push(toggle);
      if (opened) queueMicrotask(() => node.append(why));
    }
    if (under.length) node.append(el("div", { class: "under" }, under));
    return node;
  }
  const card = (one) => el("div", { class: "card" }, el("b", {}, one.title), (one.rows || []).map(([name, value]) => el("div", {}, el("span", {}, name), el("em", {}, value))));
  function reasons(explain) {
    const rows = [];
    const add = (name, value) => { if (value !== undefined && value !== null && value !== "" && !(Array.isArray(value) && !value.length)) rows.push(el("dt", {}, name), el("dd", {}, String(value))); };
    add(t.intent, explain.intent && `${explain.intent}${typeof explain.score === "number" ? ` ${Math.round(explain.score * 100)}%` : ""}`);
    add(t.operation, word("operations", explain.operation));
    add(t.outcome, word("states", explain.outcome));
    add(t.clause, explain.clause);
    add(t.version, explain.policy);
    const answer = explain.answer || {};
    add(t.decision, answer.decision);
    if (typeof answer.p_correct === "number") add(t.draft.split(/[（,]/)[0], fill(t.score, { n: Math.round(answer.p_correct * 100) }));
    add(t.reasonsWord, (answer.reasons || []).join(", "));
    add(t.sources, (answer.evidence || []).join(", "));
    add(t.receipts, (explain.receipts || []).join(", "));
    const known = ["intent", "score", "operation", "outcome", "clause", "policy", "answer", "receipts"];
    for (const [name, value] of Object.entries(explain)) if (!known.includes(name)) add(name, typeof value === "object" ? JSON.stringify(value) : value);
    return el("dl", {}, rows);
  }
  /** What a person thinks of a draft or an answer; shown when the gateway has it. */
  async function judge(how, body, draft, verdict) {
    const talk = state.talk;
    try { await api(`/conversations/${talk.row.id}/${how}`, body); } catch (error) { toast(fill(t.failed, { message: error.message })); return; }
    if (!state.talk || state.talk.row.id !== talk.row.id) return;
    state.talk.judged[draft] = verdict;
    paintLog();
    paintSide();
  }
  function judgement(line) {
    const verdict = state.talk.judged[`reply:${line.seq}`];
    const mark = (one) => judge("judge", { seq: line.seq, verdict: one }, `reply:${line.seq}`, one);
    if (verdict) return el("small", {}, t.judged[verdict]);
    return el("div", { class: "acts" }, el("button", { class: "quiet", onclick: () => mark("right") }, t.judgeRight), el("button", { class: "quiet", onclick: () => mark("wrong") }, t.judgeWrong));
  }
  function suggestion(draft, text) {
    const verdict = state.talk.judged[draft];
    return el("div", { class: "sugg" }, el("small", {}, t.suggestion + (verdict ? ` · ${t.judged[verdict]}` : "")), text, verdict ? null : draftButtons(draft, text));
  }
  function draftButtons(draft, text) {
    return el("div", { class: "acts" },
      el("button", { class: "go", disabled: !mine(), onclick: () => say(text, draft) }, t.send),
      el("button", { disabled: !mine(), onclick: () => { state.draft = draft; state.texts[state.id] = text; state.mode = "reply"; paintWrite(); focusReply(); } }, t.edit),
      el("button", { class: "quiet", onclick: () => judge("draft", { draft }, draft, "discarded") }, t.discard));
  }

  // writing
  function paintWrite() {
    const row = state.talk.row;
    parts.budget = el("span", { class: "hint" });
    if (!mine() && state.mode !== "note") {
      const line = el("div", { class: "write" }, el("div", { class: "idle" }, row.owner === "pending" ? t.pendingNow : row.owner === "bot" ? t.withBot : row.owner === "closed" ? t.endedNow : fill(t.notYours, { agent: row.agent }),
        row.owner === "pending" ? el("button", { class: "go", onclick: claim }, t.claim) : null,
        el("button", { onclick: note }, t.note)));
      parts.write.replaceChildren(line);
      parts.box = null;
      return;
    }
    const noting = state.mode === "note";
    const box = el("textarea", { placeholder: noting ? t.noteHint : t.reply, "aria-label": noting ? t.note : t.reply, maxlength: 4000, value: noting ? "" : state.texts[state.id] || "" });
    const menu = el("div", { class: "menu", role: "listbox", hidden: true });
    const file = el("input", { type: "file", accept: "image/*,audio/*,.amr", hidden: true, onchange: () => { if (file.files[0]) sendPicture(file.files[0]); file.value = ""; } });
    const send = () => {
      const text = box.value.trim();
      if (!text) return;
      if (noting) { api(`/conversations/${state.id}/note`, { text }).then(() => look(), (error) => toast(fill(t.failed, { message: error.message }))); state.mode = "reply"; paintWrite(); return; }
      say(text, state.draft);
    };
    box.addEventListener("input", () => { if (!noting) state.texts[state.id] = box.value; cannedMenu(box, menu); });
    box.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (!menu.hidden && menuKey(event, box, menu)) return;
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); send(); }
      else if (event.key === "Escape") { if (noting) { state.mode = "reply"; paintWrite(); } else box.blur(); }
    });
    parts.box = box;
    parts.write.replaceChildren(el("div", { class: `write ${noting ? "note" : ""}` }, menu, box, el("div", { class: "tools" },
      noting ? null : el("button", { class: "quiet", onclick: () => { box.value = "/"; box.focus(); cannedMenu(box, menu); } }, t.canned),
      noting ? null : el("button", { class: "quiet", title: t.picture, "aria-label": t.picture, onclick: () => file.click() }, el("span", { class: "icons" }, icon("picture"))),
      noting ? null : el("button", { class: "quiet", onclick: note }, t.note), file,
      parts.budget,
      noting ? el("button", { onclick: () => { state.mode = "reply"; paintWrite(); } }, t.cancel) : null,
      el("button", { class: "go", onclick: send }, noting ? t.save : t.send))));
    paintBudget();
  }
  function paintBudget() {
    if (!parts.budget) return;
    const budget = state.talk.budget;
    if (!budget || state.mode === "note") { parts.budget.replaceChildren(state.mode === "note" ? "" : t.replyHint); return; }
    const gone = budget.left <= 0 || budget.until <= now();
    const kind = gone ? "gone" : budget.left <= 2 ? "low" : "";
    parts.budget.replaceChildren(el("span", { class: `budget ${kind}` }, gone ? t.budgetGone : fill(t.budget, budget) + fill(t.until, { time: clock(budget.until) })));
  }
  async function say(text, draft) {
    const id = state.id;
    const answer = await act("reply", { text, key: randomId(), draft: draft || undefined });
    if (!answer) return;
    delete state.texts[id];
    if (state.id !== id || !state.talk) return;
    state.draft = null;
    if (draft) state.talk.judged[draft] = "sent";
    if (answer.budget) state.talk.budget = answer.budget;
    paintWrite(); focusReply(); look();
    if (draft) paintSide();
  }
  async function sendPicture(picture) {
    const { id, token } = state.talk.row;
    try { await api(`/conversations/${id}/picture?token=${token}&key=${randomId()}`, picture, true); look(); }
    catch (error) { toast(error.code === "no_budget" ? t.budgetGone : fill(t.failed, { message: error.message })); }
  }
  function cannedMenu(box, menu) {
    const match = /^\/([^\n]{0,20})$/.exec(box.value);
    menu.hidden = !match;
    if (!match) return;
    const wanted = match[1].toLowerCase();
    const speech = (state.talk.row.language || "").startsWith("en") ? "en" : "zh";
    const found = state.me.canned.filter((one) => !wanted || [one.key, one.title.zh, one.title.en, one.text[speech]].some((part) => part.toLowerCase().includes(wanted)));
    menu.replaceChildren(...found.map((one, n) => el("button", { role: "option", "aria-selected": n === 0, type: "button", onclick: () => { box.value = fill(one.text[speech], { name: state.talk.row.name, order: state.talk.row.order }); state.texts[state.id] = box.value; menu.hidden = true; box.focus(); } }, one.title[lang], el("small", {}, one.text[speech]))));
    menu.hidden = !found.length;
  }
  function menuKey(event, box, menu) {
    const options = [...menu.children];
    const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") { menu.hidden = true; box.value = ""; event.stopPropagation(); }
    else if (event.key === "Enter" || event.key === "Tab") options[at]?.click();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = (at + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length;
      options.forEach((option, n) => option.setAttribute("aria-selected", n === next));
      options[next].scrollIntoView({ block: "nearest" });
    } else return false;
    event.preventDefault();
    return true;
  }
  function focusReply() { if (parts.box) { parts.box.focus(); parts.box.setSelectionRange(parts.box.value.length, parts.box.value.length); } }
  function note() { state.mode = "note"; paintWrite(); parts.box.focus(); }

  // taking and giving
  async function claim() { if (await act("claim")) { if (state.tab === "waiting" && !state.query) { state.tab = "mine"; } paintRows(); focusReply(); } }
  function dialog(...content) {
    const box = el("dialog", { onclose: () => box.remove() }, ...content);
    document.body.append(box);
    box.showModal();
    return box;
  }
  function close() {
    const box = dialog(el("h2", {}, t.closeAsk), el("div", { class: "acts" },
      el("button", { onclick: () => box.close() }, t.cancel),
      el("button", { class: "go", autofocus: true, onclick: async () => { box.close(); await act("close"); } }, t.close)));
  }
  function transfer() {
    const people = state.people.filter((person) => person.name !== state.me.name).sort((a, b) => state.present.has(b.name) - state.present.has(a.name));
    const pick = async (agent) => { box.close(); await act("transfer", { agent }); };
    const box = dialog(el("h2", {}, t.transferTitle), el("div", { class: "persons" },
      people.map((person) => el("button", { onclick: () => pick(person.name) }, el("span", { class: `dot ${state.present.has(person.name) ? "on" : ""}` }), person.name, el("small", {}, state.present.has(person.name) ? t.present : t.absent))),
      mine() ? el("button", { onclick: () => pick(null) }, el("span", { class: "dot off" }), t.toQueue) : null),
    el("div", { class: "acts" }, el("button", { onclick: () => box.close() }, t.cancel)));
  }
  function release() {
    const words = el("textarea", { maxlength: 2000 });
    const tell = el("input", { type: "checkbox" });
    const until = el("input", { type: "datetime-local" });
    const box = dialog(el("h2", {}, t.releaseTitle), el("label", {}, t.releaseNote, words), el("label", { class: "tick" }, tell, t.releaseTell), el("label", {}, t.releaseUntil, until),
      el("div", { class: "acts" }, el("button", { onclick: () => box.close() }, t.cancel),
        el("button", { class: "go", onclick: async () => { box.close(); await act("release", { note: words.value, tell: tell.checked, promise_until: until.value ? new Date(until.value).getTime() : null }); } }, t.release)));
    words.focus();
  }
  const why = (code) => t.planWhy[code] || word("planWhy", String(code).replace(/^shop_/, ""));

  /** Run an operation on a proven order: what the policy allows goes to the shopper, the rest to a lead. */
  function operate() {
    const { row, packet } = state.talk;
    const number = el("input", { value: (packet.order || {}).number || packet.order_number || row.order || "", "aria-label": t.order });
    const place = el("div", { class: "operate" });
    const said = el("p", { class: "bad", role: "alert" });
    const box = dialog(el("h2", {}, t.operate), el("label", {}, t.order, number), place, said,
      el("div", { class: "acts" }, el("button", { onclick: () => box.close() }, t.cancel)));
    const path = `/conversations/${row.id}`;
    const failed = (error) => { said.textContent = { unproven: t.notProven, proof_wrong: t.proofWrong, locked: t.proofLocked, shop_down: t.shopDown, not_yours: t.taken, taken: t.taken, no_budget: t.budgetGone, ...t.planErrors }[error.code] || fill(t.failed, { message: error.message }); };
    const unproven = () => {
      const kind = el("select", { "aria-label": t.proof }, ["phone_tail", "email", "postcode"].map((one) => el("option", { value: one }, word("proofs", one))));
      const value = el("input", { autocomplete: "off", "aria-label": t.proofValue });
      place.replaceChildren(el("p", {}, t.notProven), el("label", {}, t.proof, kind), el("label", {}, t.proofValue, value),
        el("button", { class: "go", onclick: async () => { said.textContent = ""; try { await api(`${path}/prove`, { token: row.token, order: number.value.trim(), kind: kind.value, value: value.value }); load(); } catch (error) { failed(error); } } }, t.proofCheck));
      value.focus();
    };
    const form = (order) => {
      const operation = el("select", { "aria-label": t.operation }, order.operations.map((one) => el("option", { value: one }, word("operations", one))));
      const meant = packet.lines || {};
      const counts = order.lines.map((line) => el("input", { type: "number", min: 0, max: line.open, value: meant[line.id] ?? (Object.keys(meant).length ? 0 : line.open), "aria-label": spoken(line.title), disabled: !line.open }));
      const options = order.lines.map((line) => el("select", { "aria-label": `${t.option} ${spoken(line.title)}` }, el("option", { value: "" }, "—"),
        line.variants.map((one) => el("option", { value: one.id, disabled: one.stock < 1 }, `${one.title[lang]} · ${money(one.price)}${one.stock < 1 ? ` · ${t.soldOut}` : ""}`))));
      const items = el("div", {}, order.lines.map((line, n) => el("div", {}, el("label", { class: "count" }, counts[n], spoken(line.title), el("small", {}, `${money(line.price)} · ${fill(t.openLeft, { n: line.open })}`)), el("label", {}, t.option, options[n]))));
      const address = el("textarea", { rows: 3, "aria-label": t.newAddress, placeholder: t.newAddressHint });
      const reason = el("select", { "aria-label": t.reason }, el("option", { value: "" }, "—"), Object.entries(order.reasons).map(([code, label]) => el("option", { value: code, selected: packet.request_reason === code }, label[lang])));
      const opened = el("select", { "aria-label": t.opened }, [["", "—"], ["no", t.openedNo], ["yes", t.openedYes]].map(([code, label]) => el("option", { value: code, selected: (packet.opened === true && code === "yes") || (packet.opened === false && code === "no") }, label)));
      const request = el("select", { "aria-label": t.request }, order.requests.map((one) => el("option", { value: one.id }, `${word("operations", one.operation)} ${one.id}`)));
      const rows = { items, reason: el("label", {}, t.reason, reason), opened: el("label", {}, t.opened, opened), request: el("label", {}, t.request, request), address: el("label", {}, t.newAddress, address) };
      const fit = () => {
        const now = operation.value;
        const swaps = now === "exchange" || now === "change_items";
        items.hidden = ["cancel", "withdraw_request", "change_address"].includes(now);
        options.forEach((one) => { one.parentElement.hidden = !swaps; });
        if (swaps && order.lines.length > 1 && !Object.keys(meant).length) counts.forEach((one) => { one.value = 0; }); // one at a time
        rows.opened.hidden = now !== "return";
        rows.reason.hidden = ["withdraw_request", "change_address", "change_items"].includes(now);
        rows.request.hidden = now !== "withdraw_request";
        rows.address.hidden = now !== "change_address";
      };
      operation.addEventListener("change", fit);
      const go = el("button", { class: "go", onclick: async () => {
        said.textContent = "";
        go.disabled = true;
        const lines = items.hidden ? [] : order.lines.map((line, n) => ({ line_id: line.id, quantity: Number(counts[n].value), ...(options[n].parentElement.hidden || !options[n].value ? {} : { variant_id: options[n].value }) })).filter((line) => line.quantity > 0);
        try {
          const told = await api(`${path}/plans`, { token: row.token, operation: operation.value, order: order.number, lines, reason: rows.reason.hidden ? null : reason.value || null, opened: rows.opened.hidden || !opened.value ? null : opened.value === "yes", request: rows.request.hidden ? null : request.value, address: rows.address.hidden ? null : address.value.trim() });
          if (told.plan) { box.close(); show(told, true); toast(told.outcome === "allowed" ? t.planShown : t.planToLead); }
          else said.textContent = `${told.asks.includes("opened") ? t.askOpened : spoken(told.explanation)} (${told.clause})`;
        } catch (error) { if (error.code === "unproven") unproven(); failed(error); }
        go.disabled = false;
      } }, t.propose);
      place.replaceChildren(el("p", {}, el("span", { class: "tag blue" }, word("states", order.state)), " ", fill(t.asOf, { time: clock(now()) })), el("label", {}, t.operation, operation), items, rows.address, rows.reason, rows.opened, rows.request, go);
      fit();
      operation.focus();
    };
    async function load() {
      said.textContent = "";
      if (!number.value.trim()) { number.focus(); return; }
      try { form(await api(`${path}/order?number=${encodeURIComponent(number.value.trim())}&token=${row.token}`)); }
      catch (error) { if (error.code === "unproven") unproven(); else failed(error); }
    }
    number.addEventListener("change", load);
    load();
  }
  async function decide(plan, how) {
    try { show(await api(`/conversations/${state.talk.row.id}/plans/${plan.id}/${how}`, {}), true); }
    catch (error) { toast(t.planWhy[error.code] || fill(t.failed, { message: error.message })); await open(state.id); }
  }
  function planBox(plan) {
    const lead = state.me.role !== "agent";
    const waits = plan.state === "approval" || plan.state === "shown";
    const kind = { done: "grn", approval: "amb", shown: "blue" }[plan.state] || "";
    return el("div", { class: "planbox", "data-plan": plan.id },
      el("div", { class: "item" }, el("span", { class: "big" }, `${word("operations", plan.operation)} ${money(plan.amount)}`), el("span", { class: `tag ${kind}` }, t.planStates[plan.state] || plan.state)),
      el("small", {}, [plan.order, plan.destination.join(", "), `${t.clause} ${plan.clause}`].filter(Boolean).join(" · ")),
      plan.note ? el("p", {}, plan.note) : null,
      plan.outcome === "person" && plan.explanation ? el("p", {}, plan.explanation) : null,
      el("small", {}, [`${t.proposedBy} ${plan.proposed_by}`, plan.approved_by && `${t.approvedBy} ${plan.approved_by}`, plan.receipt && `${t.receipts} ${plan.receipt}`, plan.why && !["done", "withdrawn", "refused"].includes(plan.state) && why(plan.why), waits && `${t.validUntil} ${clock(plan.expires_at)}`].filter(Boolean).join(" · ")),
      waits && (lead || plan.proposed_by === state.me.name) ? el("div", { class: "acts" },
        plan.state === "approval" && lead ? el("button", { class: "go", onclick: (event) => { event.target.disabled = true; decide(plan, "approve"); } }, t.approve) : null,
        el("button", { onclick: () => decide(plan, "turn-down") }, plan.state === "approval" && plan.proposed_by !== state.me.name ? t.turnDown : t.takeBack)) : null);
  }
  function viewer(url) {
    const box = dialog(el("img", { src: url, alt: t.pictureWord, onclick: () => box.close() }));
    box.classList.add("view");
  }
  function help() {
    const box = dialog(el("h2", {}, t.keys), el("dl", { class: "keys" }, t.keyList.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])), el("div", { class: "acts" }, el("button", { class: "go", onclick: () => box.close() }, "OK")));
  }

  // ------------------------------------------------------------------ what the bot knows
  function paintSide() {
    const { row, packet, history, evidence, case: caseId, plans } = state.talk;
    const sections = [];
    const section = (title, extra, ...content) => { if (content.flat().filter(Boolean).length) sections.push(el("section", {}, el("h3", {}, title, extra ? el("small", {}, extra) : null), ...content)); };
    const facts = (pairs) => { const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== ""); return rows.length ? el("dl", {}, rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])) : null; };
    const who = packet.who || {};
    if (packet.reason || row.reason) {
      section(t.why, row.waiting_since ? `${t.waited} ${span(now() - row.waiting_since)}` : "", facts([
        [t.reason, el("span", { class: "big" }, word("reasons", packet.reason || row.reason))], [t.goal, word("goals", packet.goal)],
        [t.question, packet.goal === "answer" ? packet.question : ""], [t.summary, packet.summary],
        [t.mood, packet.sentiment ? el("span", { class: `tag ${packet.sentiment === "angry" ? "red" : "amb"}` }, word("moods", packet.sentiment)) : ""],
        [t.promised, row.promised_at ? el("span", { class: `tag ${row.promise === "broken" ? "red" : row.promise === "kept" ? "grn" : "amb"}` }, `${clock(row.promised_at)}${row.promise === "kept" ? ` ${t.kept}` : ""}`) : ""]]));
    }
    if (packet.draft) section(t.draft, typeof packet.draft.score === "number" ? fill(t.score, { n: Math.round(packet.draft.score * 100) }) : "", draftBox(packet.draft, `case:${caseId}`));
    section(t.who, "", facts([
      [t.shopper, nameOf(row)], [t.proof, who.proof ? `${word("proofs", who.proof)}${who.proven_at ? ` · ${t.provenAt} ${clock(who.proven_at)}` : ""}` : el("span", { class: "tag amb" }, t.unproven)],
      [t.channel, word("channels", row.channel)], [t.language, word("languages", (packet.language || row.locale || "").slice(0, 2))], [t.customer, row.customer || who.customer]]));
    if (packet.order) section(t.order, fill(t.asOf, { time: clock(packet.order.read_at) }), orderBox(packet));
    else if (packet.order_number) section(t.order, t.said, el("div", { class: "big" }, packet.order_number));
    if (mine() || (plans || []).length) section(t.operate, "", (plans || []).map(planBox), mine() ? el("div", { class: "acts" }, el("button", { onclick: operate, "data-do": "o" }, t.operate + "…", el("kbd", {}, "O"))) : null);
    if (packet.plan) section(t.plan, "", facts([[t.operation, word("operations", packet.plan.operation)], [t.order, packet.plan.order_number], [t.amount, money(packet.plan.amount)], [t.destination, (packet.plan.destination || []).map((one) => [word("methods", one.method), one.hint].filter(Boolean).join(" ")).join(", ")], [t.clause, packet.plan.clause]]));
    if (packet.policy) section(t.policy, "", facts([[t.operation, word("operations", packet.policy.operation)], [t.outcome, word("states", packet.policy.outcome)], [t.clause, packet.policy.clause], [t.version, packet.policy.policy]]), packet.policy.explanation ? el("p", {}, packet.policy.explanation) : null);
    if (evidence.length) section(t.evidence, "", el("div", { class: "thumbs" }, evidence.map((one) => (/\.(jpg|png|gif|webp)$/.test(one.id) ? el("img", { src: one.url, alt: t.pictureWord, loading: "lazy", onclick: () => viewer(one.url) }) : el("a", { href: one.url, target: "_blank", rel: "noopener" }, one.id.split(".").pop().toUpperCase())))));
    if ((packet.tried || []).length) section(t.tried, "", el("ul", { class: "plain" }, packet.tried.map((one) => el("li", {}, one))));
    const promised = [...(packet.promise ? [packet.promise] : []), ...(packet.promises || []).filter((one) => !packet.promise || one.receipt !== packet.promise.receipt)];
    if (promised.length) section(t.promises, "", promised.map((one) => el("div", { class: "past" }, el("span", { class: `tag ${one.state === "broken" || one.state === "late" ? "red" : one.state === "kept" ? "grn" : "amb"}` }, word("promiseStates", one.state)), ` ${word("promiseKinds", one.kind)}`, one.order_number ? ` · ${one.order_number}` : "", one.amount ? ` · ${money(one.amount)}` : "", el("br"), el("small", {}, one.due_at ? `${t.due} ${clock(one.due_at)}` : fill(t.workingDays, { n: one.working_days }), one.agent ? ` · ${one.agent}` : ""))));
    if ((packet.elsewhere || []).length) section(t.elsewhere, "", packet.elsewhere.map((one) => el("div", { class: "past" }, `${word("channels", one.channel)} · ${word("goals", one.goal) || t.noCase}${one.outcome ? ` · ${word("outcomes", one.outcome)}` : ""}${one.order_number ? ` · ${one.order_number}` : ""}`, el("br"), el("small", {}, `${one.opened_at ? clock(one.opened_at) : ""}${one.agent ? ` · ${one.agent}` : ""}`), (one.requests || []).map((request) => el("div", {}, el("small", {}, `${word("operations", request.operation)} · ${request.status}`))), one.note ? el("div", { class: "notebox" }, one.note.text) : null, el("div", { class: "acts" }, el("button", { class: "quiet", onclick: () => open(one.conversation) }, t.openIt)))),
      el("button", { class: "quiet", onclick: async () => { try { await api(`/conversations/${row.id}/unlink`, {}); toast(t.unlinked); } catch (error) { toast(fill(t.failed, { message: error.message })); } } }, t.unlink));
    const past = history.filter((one) => one.ended_at);
    if (past.length) section(t.history, "", past.map((one) => el("div", { class: "past" }, `${word("reasons", one.reason)} · ${word("outcomes", one.outcome)}${one.rating ? ` · ${"★".repeat(one.rating)}` : ""}`, el("br"), el("small", {}, `${clock(one.opened_at)}${one.agent ? ` · ${one.agent}` : ""}${one.rating_comment ? ` · “${one.rating_comment}”` : ""}`), one.note ? el("div", { class: "notebox" }, one.note.text, one.note.promise_until ? el("small", {}, `${t.promised} ${clock(one.note.promise_until)}`) : null) : null)));
    if (!sections.length) sections.push(el("section", {}, t.noPacket));
    const scroll = parts.side.scrollTop;
    parts.side.replaceChildren(...sections);
    parts.side.scrollTop = scroll;
  }
  function draftBox(draft, id) {
    const verdict = state.talk.judged[id];
    const meter = el("i");
    meter.style.width = `${Math.round((draft.score || 0) * 100)}%`;
    return el("div", {}, el("div", { class: "draftbox" }, draft.text), typeof draft.score === "number" ? el("div", { class: "meter" }, meter) : null, draft.why ? el("small", {}, draft.why) : null,
      verdict ? el("div", { class: "acts" }, el("span", { class: "tag" }, t.judged[verdict])) : draftButtons(id, draft.text));
  }
  function orderBox(packet) {
    const order = packet.order;
    const steps = [["created", order.created_at], ["paid", order.paid_at], ["shipped", order.shipped_at], order.cancelled_at ? ["cancelled", order.cancelled_at] : ["delivered", order.delivered_at]];
    return el("div", {},
      el("div", { class: "item" }, el("span", { class: "big" }, order.number), el("span", { class: "tag blue" }, word("states", order.state))),
      el("ol", { class: "steps" }, steps.map(([name, at]) => el("li", { class: at ? "done" : "" }, t[name], el("small", {}, day(at))))),
      (order.items || []).map((item) => { const meant = (packet.lines || {})[item.id]; return el("div", { class: `item ${meant ? "meant" : ""}` }, el("span", {}, spoken(item.title), meant ? el("small", {}, fill(t.wanted, { n: meant })) : null), el("span", {}, `${money(item.price)} × ${item.quantity}`)); }),
      el("dl", {}, [[t.total, money(order.total)], [t.refunded, order.refunded && order.refunded.amount ? money(order.refunded) : ""]].filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      (order.tracking || []).map((parcel) => el("div", { class: "item" }, el("span", {}, `${parcel.carrier} ${parcel.number}`, el("small", {}, `${spoken(parcel.text)} ${clock(parcel.at)}`)), el("span", { class: "tag" }, word("states", parcel.status)))),
      (order.requests || []).map((one) => el("div", { class: "item" }, el("span", {}, `${word("operations", one.operation)} ${one.id}`, el("small", {}, clock(one.created_at))), el("span", { class: "tag" }, `${word("states", one.status)} ${money(one.amount)}`))));
  }

  // ------------------------------------------------------------------ live
  let retry = 1000;
  function connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/desk/socket`);
    state.socket = socket;
    socket.onopen = () => { retry = 1000; setOffline(false); tellView(); load(); };
    socket.onmessage = (message) => hear(JSON.parse(message.data));
    socket.onclose = (event) => {
      if (!state.me || state.socket !== socket) return;
      if (event.code === 4401) { state.me = null; paint(); return; }
      setOffline(true);
      setTimeout(() => { if (state.me && state.socket === socket) api("/me").then(connect, () => { if (state.me) connect(); }); }, retry);
      retry = Math.min(15000, retry * 2);
    };
  }
  function setOffline(off) { if (parts.strip) parts.strip.hidden = !off; }
  function tellView() { if (state.socket && state.socket.readyState === 1) state.socket.send(JSON.stringify({ view: state.id })); }
  function hear(frame) {
    if (frame.type === "queue") {
      const fresh = [];
      for (const row of frame.rows) {
        const before = state.rows.get(row.id);
        if (row.owner === "pending" && (!before || before.owner !== "pending")) fresh.push(row);
        if (before && tabOf(row) === "mine" && row.unanswered_since && !before.unanswered_since) fresh.push(row);
        state.rows.set(row.id, row);
      }
      for (const id of frame.gone) { state.rows.delete(id); drawn.delete(id); }
      if (state.seeded && fresh.length) alarm(fresh);
      state.seeded = true;
      paintRows();
      if (state.id && (frame.gone.includes(state.id) || frame.rows.some((row) => row.id === state.id))) look();
    } else if (frame.type === "look" && frame.id === state.id) look();
    else if (frame.type === "people") { state.present = new Set(frame.present); if (parts.hours) paintHours(); }
  }
  let audio = null;
  function beep() {
    try {
      audio = audio || new AudioContext();
      [660, 880].forEach((pitch, n) => {
        const tone = audio.createOscillator(), gain = audio.createGain(), at = audio.currentTime + n * 0.13;
        tone.frequency.value = pitch;
        gain.gain.setValueAtTime(0.0001, at);
        gain.gain.exponentialRampToValueAtTime(0.12, at + 0.02);
        gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.22);
        tone.connect(gain).connect(audio.destination);
        tone.start(at);
        tone.stop(at + 0.25);
      });
    } catch { /* no sound without a click first */ }
  }
  function alarm(rows) {
    if (state.sound) beep();
    if (document.hidden && window.Notification && Notification.permission === "granted") {
      const row = rows[0];
      // The shopper's words stay in the page: a notification shows on a locked screen.
      const shown = new Notification(t.newWaiting, { body: `${word("channels", row.channel)} · ${word("reasons", row.reason)}`, tag: row.id, icon: "/desk/icon.svg" });
      shown.onclick = () => { window.focus(); open(row.id); };
    }
  }
  async function load() {
    const found = await api("/queue").catch(() => null);
    if (!found) return;
    state.skew = found.now - Date.now();
    state.rows = new Map(found.rows.map((row) => [row.id, row]));
    state.people = found.people;
    state.open = found.open;
    state.opensAt = found.opens_at;
    for (const person of found.people) if (person.present) state.present.add(person.name);
    state.seeded = true;
    paintHours();
    paintRows();
    if (state.id && state.talk) look();
  }
  async function enter() {
    paint();
    await load();
    connect();
  }
  setInterval(() => { if (state.me && parts.rows) paintRows(); }, 10000);
  setInterval(() => { if (state.me) { relist(); load(); } }, 60000);

  // ------------------------------------------------------------------ keys
  document.addEventListener("keydown", (event) => {
    if (!state.me || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = event.target;
    if (target instanceof Element && target.matches("input,textarea,select")) return;
    const keys = {
      ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1), "/": () => parts.search.focus(), "?": help,
      Enter: () => (mine() ? focusReply() : step(0)), c: () => { if (state.talk && !mine()) claim(); }, r: () => { if (mine()) { state.mode = "reply"; paintWrite(); focusReply(); } },
      n: () => { if (state.talk) note(); }, o: () => { if (mine()) operate(); }, t: () => { if (state.talk && (mine() || state.me.role !== "agent")) transfer(); }, b: () => { if (mine()) release(); }, e: () => { if (mine()) close(); },
    };
    if (/^[1-5]$/.test(event.key)) choose(TABS[Number(event.key) - 1]);
    else if (keys[event.key] && !(event.key === "Enter" && target instanceof HTMLButtonElement)) keys[event.key]();
    else return;
    event.preventDefault();
  });

  (async () => {
    try { state.me = await api("/me"); await enter(); }
    catch { state.me = null; paint(); }
  })();
})();
